"""Looking devices up, with what other stores know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguindome.errors import NotFound, PreconditionFailed
from penguindome.ids import is_device_id

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from penguind.domain.device import Device, DeviceState
    from penguind.domain.report_rules import HeldOutput
    from penguind.select import DeviceSelector
    from penguind.store.devices import DeviceStore
    from penguind.store.issues import IssueStore
    from penguind.store.overview import Overview
    from penguind.store.parameters import ParameterStore
    from penguind.store.states import StateStore

_LISTED = 20


@dataclass(frozen=True, slots=True)
class Entry:
    """A device in a list; the time is None before its first report."""

    device: Device
    last_report_time: datetime | None
    open_issues: tuple[str, ...]
    user_email: str = ""


@dataclass(frozen=True, slots=True)
class Details:
    """Everything about a device; `values` are JSON values by plugin name."""

    entry: Entry
    outputs: tuple[HeldOutput, ...]
    values: Mapping[str, Any]
    same_hardware: tuple[str, ...]


class Directory:
    """Reads devices for people."""

    def __init__(
        self,
        *,
        devices: DeviceStore,
        states: StateStore,
        issues: IssueStore,
        overview: Overview,
        parameters: ParameterStore,
        selector: DeviceSelector,
    ) -> None:
        self._devices = devices
        self._states = states
        self._issues = issues
        self._overview = overview
        self._parameters = parameters
        self._selector = selector

    async def list(self, terms: Sequence[str], states: Sequence[DeviceState]) -> tuple[Entry, ...]:
        """Return the devices that the terms pick, by hostname, then id."""
        devices = await self._selector.resolve(list(terms), states=states)
        ids = [device.device_id for device in devices]
        names = await self._issues.open_names(ids)
        reported = await self._overview.last_report_times(ids)
        emails = await self._parameters.emails(ids)
        return tuple(
            Entry(
                device,
                reported.get(device.device_id),
                tuple(names.get(device.device_id, ())),
                emails.get(device.device_id, ""),
            )
            for device in devices
        )

    async def details(self, wanted: str) -> Details:
        """Return one device by its id, or by a hostname that exactly one has.

        Raises:
            NotFound: there is none.
            PreconditionFailed: several have the hostname; names them.
        """
        device = await self.one(wanted)
        snapshot = await self._states.snapshot(device.device_id)
        names = await self._issues.open_names([device.device_id])
        alike = await self._devices.with_hints(device.hints)
        emails = await self._parameters.emails([device.device_id])
        reported = snapshot is not None and bool(snapshot.report_id)
        return Details(
            entry=Entry(
                device,
                snapshot.received_time if snapshot is not None and reported else None,
                tuple(names.get(device.device_id, ())),
                emails.get(device.device_id, ""),
            ),
            outputs=() if snapshot is None else snapshot.outputs,
            values={} if snapshot is None else snapshot.values,
            same_hardware=tuple(
                other.device_id for other in alike if other.device_id != device.device_id
            ),
        )

    async def one(self, wanted: str) -> Device:
        """Return one device by its id, or by a hostname that exactly one has.

        Raises:
            NotFound: there is none.
            PreconditionFailed: several have the hostname; names them.
        """
        if is_device_id(wanted):
            found = await self._devices.get(wanted)
            named = [] if found is None else [found]
        else:
            named = await self._devices.named(wanted)
        if not named:
            raise NotFound(
                "there is no such device",
                code="no-device",
                subject=wanted[:253],
                remedy="penguinctl device list shows those there are",
            )
        if len(named) > 1:
            ids = ", ".join(device.device_id for device in named[:_LISTED])
            raise PreconditionFailed(
                f"{len(named)} devices have this hostname: {ids}",
                code="ambiguous",
                subject=wanted[:253],
                remedy="name the device by its id",
            )
        return named[0]
