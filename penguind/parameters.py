"""What operators do with parameters: see, set and unset them.

A change and everything that follows from it, in a whole group of linked devices, is one
transaction. Changes take turns.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from penguind.domain import parameter as rules
from penguind.domain.device import STATES, Device
from penguind.domain.parameter import EMAIL, LINKS, NAMES, Parameter
from penguindome.errors import NotFound, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from penguind.domain.parameter import LinkMap
    from penguind.select import DeviceSelector
    from penguind.store.database import Database, Session
    from penguind.store.devices import DeviceStore
    from penguind.store.parameters import ParameterStore
    from penguindome.times import Clock

_SECONDS = 20.0
_NAMED = 20


@dataclass(frozen=True, slots=True)
class Shown:
    """A parameter for people: with the hostnames of linked devices, in the order of the values."""

    parameter: Parameter
    hostnames: tuple[str, ...]
    device_deleted: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What a setting did.

    `before` are the values before, as hostnames for linked devices; `parameters` is what is set now
    on every device that was changed, and on the one that was named.
    """

    changed: bool
    before: tuple[str, ...]
    parameters: tuple[Shown, ...]


class Parameters:
    """Reads and changes parameters."""

    def __init__(
        self,
        *,
        database: Database,
        parameters: ParameterStore,
        devices: DeviceStore,
        selector: DeviceSelector,
        clock: Clock,
    ) -> None:
        self._database = database
        self._parameters = parameters
        self._devices = devices
        self._selector = selector
        self._clock = clock

    async def find(self, terms: Sequence[str], names: Sequence[str]) -> list[Shown]:
        """Return what is set, by hostname and name.

        Args:
            terms: selector terms; none means all devices, also those deleted by now.
            names: parameters' names; none means all.

        Raises:
            InvalidInput: a term or a name cannot be read.
            NotFound: a whole name or id is no device's, nor a deleted one's.
        """
        for name in names:
            rules.check_name(name)
        shown = await self._shown(await self._parameters.find(names=names or NAMES))
        if terms:
            leftovers = [_leftover(one.parameter) for one in shown if one.device_deleted]
            picked = await self._selector.resolve(terms, states=STATES, leftovers=leftovers)
            ids = {one.device_id for one in picked}
            shown = [one for one in shown if one.parameter.device_id in ids]
        return sorted(shown, key=_order)

    async def set(self, device_id: str, name: str, values: Sequence[str], by: str) -> Change:
        """Set a parameter of a device; linking changes the others' in the same step.

        Args:
            device_id: whose.
            name: which.
            values: one mail address; or ids of the devices to be linked with, each once.
            by: the operator.

        Raises:
            InvalidInput: there is no such parameter, or it cannot have these values.
            NotFound: a device does not exist; names it.
            PreconditionFailed: a device was revoked; names it.
        """
        rules.check_name(name)
        if name == EMAIL:
            wanted: tuple[str, ...] = (rules.mail_address(values),)
            hostnames = await self._existing([device_id])
        else:
            wanted = tuple(sorted(set(values)))
            rules.check_links(device_id, wanted)
            hostnames = await self._existing([device_id, *wanted])

        async def work(session: Session) -> tuple[Parameter | None, list[Parameter]]:
            await self._parameters.lock(session=session)
            if name == LINKS:
                held = await self._parameters.groups([device_id, *wanted], session=session)
                before = held.get(device_id)
                links = rules.linked(_values(held), device_id, wanted)
            else:
                before = await self._parameters.read(device_id, name, session=session)
                held = {} if before is None else {device_id: before}
                links = {device_id: wanted}
            written = await self._write(
                links, held, name=name, hostnames=hostnames, by=by, session=session
            )
            return before, written

        before, written = await self._database.transaction(work, seconds=_SECONDS)
        values_before = before.values if before else ()
        named = await self._parameters.find(names=[name], device_ids=[device_id])
        known = {one.device_id for one in written}
        changed = [*written, *(one for one in named if one.device_id not in known)]
        shown = await self._shown([one for one in changed if one.values])
        if name == LINKS:
            former = await self._hostnames(values_before)
            values_before = tuple(sorted(former.get(one, one) for one in values_before))
        return Change(bool(written), values_before, tuple(sorted(shown, key=_order)))

    async def unset(self, device_id: str, name: str, by: str) -> bool:
        """Unset a parameter, also of a deleted device; tells whether it was set.

        Raises:
            InvalidInput: there is no such parameter.
            NotFound: the id is no device's, nor a deleted one's that has parameters.
        """
        rules.check_name(name)

        async def work(session: Session) -> bool:
            await self._parameters.lock(session=session)
            if name == LINKS:
                held = await self._parameters.groups([device_id], session=session)
                links = rules.unlinked(_values(held), device_id)
            else:
                found = await self._parameters.read(device_id, name, session=session)
                held = {} if found is None else {device_id: found}
                links = {device_id: ()}
            return bool(
                await self._write(links, held, name=name, hostnames={}, by=by, session=session)
            )

        if await self._database.transaction(work, seconds=_SECONDS):
            return True
        if not await self._parameters.hostnames([device_id]):
            await self._existing([device_id], revoked=True)
        return False

    async def leave(self, device_id: str) -> None:
        """Keep what is needed of a device that is about to be deleted: its hostname."""
        device = await self._devices.get(device_id)
        if device is not None:
            await self._parameters.rename(device_id, device.hostname)

    async def _write(
        self,
        links: LinkMap,
        held: Mapping[str, Parameter],
        *,
        name: str,
        hostnames: Mapping[str, str],
        by: str,
        session: Session,
    ) -> list[Parameter]:
        """Store the values that differ from what is held; returns them.

        `hostnames` has those of the devices that are not held yet.
        """
        known = {device_id: one.hostname for device_id, one in held.items()} | {**hostnames}
        now = self._clock()
        changed = [
            Parameter(device_id, known[device_id], name, values, set_by=by, set_time=now)
            for device_id, values in sorted(links.items())
            if values != (held[device_id].values if device_id in held else ())
        ]
        await self._parameters.write(changed, session=session)
        return changed

    async def _existing(
        self, device_ids: Iterable[str], *, revoked: bool = False
    ) -> dict[str, str]:
        """Return hostnames by id; all devices have to exist."""
        ids = set(device_ids)
        found = await self._devices.find(states=STATES, device_ids=ids)
        strangers = sorted(ids - {one.device_id for one in found})
        if strangers:
            raise NotFound(
                "there is no such device",
                code="no-device",
                subject=", ".join(one[:64] for one in strangers[:_NAMED]),
                remedy="penguinctl device list shows those there are",
            )
        ended = [one for one in found if one.state == "revoked"]
        if ended and not revoked:
            raise PreconditionFailed(
                "the device was revoked",
                code="device-revoked",
                subject=", ".join(f"{one.hostname} ({one.device_id})" for one in ended[:_NAMED]),
            )
        return {one.device_id: one.hostname for one in found}

    async def _shown(self, parameters: Sequence[Parameter]) -> list[Shown]:
        """Add what people want to see; devices' hostnames are the present ones."""
        ids = {one.device_id for one in parameters}
        linked = {other for one in parameters if one.name == LINKS for other in one.values}
        found = await self._devices.find(states=STATES, device_ids=ids)
        existing = {one.device_id for one in found}
        hostnames = await self._hostnames(ids | linked)
        return [
            _one_shown(one, hostnames, device_deleted=one.device_id not in existing)
            for one in parameters
        ]

    async def _hostnames(self, device_ids: Iterable[str]) -> dict[str, str]:
        """Return hostnames by id, the last known ones of deleted devices."""
        ids = set(device_ids)
        found = await self._devices.find(states=STATES, device_ids=ids)
        return await self._parameters.hostnames(ids) | {
            one.device_id: one.hostname for one in found
        }


def _one_shown(
    parameter: Parameter, hostnames: Mapping[str, str], *, device_deleted: bool
) -> Shown:
    hostname = hostnames.get(parameter.device_id, parameter.hostname)
    if parameter.name != LINKS:
        return Shown(replace(parameter, hostname=hostname), (), device_deleted)
    pairs = sorted((hostnames.get(one, one), one) for one in parameter.values)
    ordered = replace(parameter, hostname=hostname, values=tuple(one for _, one in pairs))
    return Shown(ordered, tuple(name for name, _ in pairs), device_deleted)


def _values(held: Mapping[str, Parameter]) -> dict[str, tuple[str, ...]]:
    return {device_id: one.values for device_id, one in held.items()}


def _order(shown: Shown) -> tuple[str, str, str]:
    return (shown.parameter.hostname, shown.parameter.device_id, shown.parameter.name)


def _leftover(parameter: Parameter) -> Device:
    """Return a deleted device for the selector, with what is still known of it."""
    return Device(
        device_id=parameter.device_id,
        hostname=parameter.hostname,
        state="revoked",
        spki=b"",
        fingerprint="",
        enrolled_time=parameter.set_time,
    )
