"""Resolve operators' selector terms to devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguindome.errors import NotFound
from penguindome.selectors import Selector, matches_name, parse_selector

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from penguind.domain.device import Device, DeviceState
    from penguind.store.devices import DeviceStore
    from penguind.store.issues import IssueStore

ACTIVE: tuple[DeviceState, ...] = ("active",)
_GLOB = frozenset("*?[")


class DeviceSelector:
    """Finds the devices that a selector picks."""

    def __init__(self, devices: DeviceStore, issues: IssueStore) -> None:
        self._devices = devices
        self._issues = issues

    async def resolve(
        self,
        terms: Sequence[str],
        *,
        states: Collection[DeviceState] = ACTIVE,
        leftovers: Sequence[Device] = (),
    ) -> list[Device]:
        """Return the devices in these states that the terms pick, by hostname, then id.

        No terms pick all of them; a glob, a label or a check may pick none. `leftovers` are records
        of deleted devices that may be picked too, and come last.

        Raises:
            InvalidInput: A term cannot be read.
            NotFound: A whole name or id is no device's in these states.
        """
        selector = parse_selector(terms)
        devices = [*await self._devices.find(states=states), *leftovers]
        _refuse_strangers(selector, devices)
        failing = None
        if selector.failing:
            failing = await self._issues.devices_with_all(selector.failing)
        return [one for one in devices if _picks(selector, one, failing)]

    async def picked(
        self, devices: Sequence[Device], choices: Sequence[Sequence[str]]
    ) -> list[list[bool]]:
        """Tell for each device whether each of several lists of terms picks it.

        Names that are nobody's pick nobody.

        Raises:
            InvalidInput: A term cannot be read.
        """
        selectors = [parse_selector(terms) for terms in choices]
        checks = [one.failing for one in selectors]
        failing = [await self._issues.devices_with_all(one) if one else None for one in checks]
        pairs = list(zip(selectors, failing, strict=True))
        return [[_picks(one, device, among) for one, among in pairs] for device in devices]

    async def resolve_ids(self, terms: Sequence[str]) -> list[str] | None:
        """Return ids of active devices that the terms pick; None where no terms mean all."""
        if not terms:
            return None
        return [one.device_id for one in await self.resolve(terms)]


def _picks(selector: Selector, device: Device, failing: Collection[str] | None) -> bool:
    return (
        matches_name(selector, device.hostname, device.device_id)
        and set(selector.labels) <= set(device.labels)
        and (failing is None or device.device_id in failing)
    )


def _refuse_strangers(selector: Selector, devices: Sequence[Device]) -> None:
    for name in selector.names:
        alone = Selector(names=(name,))
        if _GLOB & set(name) or any(
            matches_name(alone, one.hostname, one.device_id) for one in devices
        ):
            continue
        raise NotFound(
            "no such device",
            code="device-not-found",
            subject=name,
            remedy="penguinctl device list shows those there are",
        )
