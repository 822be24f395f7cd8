"""Suspensions: nobody is told about a device until it reports again, for its user is on holiday.

Nothing has to be written for a suspension to end. It holds while the device's last report is older
than it, and so the write that stores a report, of whatever kind, ends it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.domain.device import STATES
from penguind.domain.reason import checked_reason
from penguindome.errors import InvalidInput, NotFound, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from penguind.domain.device import Device
    from penguind.store.devices import DeviceStore
    from penguind.store.overview import Overview
    from penguindome.times import Clock

MAX_AT_ONCE = 1000


class Suspensions:
    """Suspends devices.

    Args:
        devices: have the suspensions.
        overview: knows when devices reported.
        clock: tells the time.
    """

    def __init__(self, devices: DeviceStore, overview: Overview, clock: Clock) -> None:
        self._devices = devices
        self._overview = overview
        self._clock = clock

    async def suspended(self, device_ids: Collection[str] | None = None) -> set[str]:
        """Return ids of devices that are suspended now; None means among all."""
        return await self._still(await self._devices.find_suspended(device_ids))

    async def suspend(self, device_ids: Sequence[str], by: str, reason: str) -> list[str]:
        """Have nobody told about devices until they report; returns those that this changed.

        Raises:
            InvalidInput: too many at once, or the reason is too long.
            NotFound: one of them does not exist; none is suspended then.
            PreconditionFailed: one of them was revoked; none is suspended then.
        """
        reason = checked_reason(reason)
        found = await self._known(device_ids)
        for one in found:
            if one.state == "revoked":
                raise PreconditionFailed(
                    "the device was revoked", code="wrong-state", subject=one.hostname
                )
        still, now = await self._still(found), self._clock()
        return [
            one.device_id
            for one in found
            if one.device_id not in still and await self._devices.suspend(one, by, reason, now)
        ]

    async def unsuspend(self, device_ids: Sequence[str]) -> list[str]:
        """Have people told about devices again; returns those that this changed.

        Raises:
            InvalidInput: too many at once.
            NotFound: one of them does not exist; none is changed then.
        """
        found = await self._known(device_ids)
        still = await self._still(found)
        return [
            one.device_id
            for one in found
            if one.device_id in still and await self._devices.unsuspend(one)
        ]

    async def _known(self, device_ids: Sequence[str]) -> list[Device]:
        if len(device_ids) > MAX_AT_ONCE:
            raise InvalidInput(f"more than {MAX_AT_ONCE} devices at once", subject="device_ids")
        found = await self._devices.find(states=STATES, device_ids=set(device_ids))
        strangers = sorted(set(device_ids) - {one.device_id for one in found})
        if strangers:
            raise NotFound("there is no such device", code="no-device", subject=strangers[0][:80])
        return found

    async def _still(self, devices: Sequence[Device]) -> set[str]:
        """Return ids of those that have not reported since they were suspended."""
        reported = await self._overview.last_report_times([one.device_id for one in devices])
        return {one.device_id for one in devices if one.suspended(reported.get(one.device_id))}
