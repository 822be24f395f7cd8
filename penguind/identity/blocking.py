"""Blocking devices, by an operator or the server itself, and letting them in again.

A blocked device keeps its record, its key and its data. Nothing that it says is heard until an
operator unblocks it, which starts a new ratchet; a certificate that ended meanwhile is then renewed
like any other.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penguind.own_issues import Finding
from penguind.workers import keep_on
from penguindome.errors import Forbidden, NotFound, PreconditionFailed
from penguindome.logs import logger

if TYPE_CHECKING:
    from penguind.domain.device import Device
    from penguind.identity.identities import Identities
    from penguind.ledger import Ledger
    from penguind.own_issues import OwnIssues
    from penguind.store.devices import DeviceStore
    from penguind.store.ratchets import RatchetStore
    from penguindome.times import Clock

log = logger("penguind.identity.blocking")

CLONE = "clone-suspected"
SERVER = "server"
_REASON_LIMIT = 500
_LOOK_SECONDS = 60.0
_REMEDY = "ask an operator, who can let it in again: penguinctl device unblock"


class Blocking:
    """Cuts devices off; `run` keeps the issues in line with what is blocked."""

    def __init__(
        self,
        *,
        devices: DeviceStore,
        ratchets: RatchetStore,
        identities: Identities,
        issues: OwnIssues,
        ledger: Ledger,
        clock: Clock,
        look_seconds: float = _LOOK_SECONDS,
    ) -> None:
        self._devices = devices
        self._ratchets = ratchets
        self._identities = identities
        self._issues = issues
        self._ledger = ledger
        self._clock = clock
        self._look_seconds = look_seconds

    async def block(self, device_id: str, by: str, reason: str) -> bool:
        """Cut an active device off, its live streams at once; False if it is blocked already.

        Raises:
            NotFound: no such device.
            PreconditionFailed: it is waiting or revoked, so there is nothing to cut off.
        """
        blocked = await self._devices.block(
            device_id, by, reason.strip()[:_REASON_LIMIT], self._clock()
        )
        self._identities.end("device", device_id)
        if not blocked:
            await self._expect(device_id, "blocked")
        return blocked

    async def unblock(self, device_id: str) -> bool:
        """Let a blocked device in again; False if it is active already.

        Raises:
            NotFound: no such device.
            PreconditionFailed: it is waiting or revoked.
        """
        async with self._identities.changing:
            device = await self._devices.get(device_id)
            if device is not None and device.state == "blocked":
                # While nobody can turn it: the next check-in starts a new one.
                await self._ratchets.delete(device_id)
            unblocked = await self._devices.unblock(device_id)
            self._identities.forget("device", device_id)
            if not unblocked:
                await self._expect(device_id, "active")
            await self._issues.close(CLONE, [device_id], self._clock(), reason="unblocked")
        return unblocked

    async def clone(self, device: Device, reason: str) -> None:
        """Block a device that two holders of its key share, in the server's own name."""
        if device.state != "active":
            return
        log.warning("Device {} is blocked: {}", device.device_id, reason)
        details = {"reason": reason}
        async with self._identities.changing:
            await self._ledger.append(SERVER, "device.block", device.device_id, details)
            await self.block(device.device_id, SERVER, reason)
            found = [Finding(device.device_id, device.hostname, reason)]
            await self._issues.open(CLONE, found, self._clock())

    async def run(self) -> None:
        """Open and close what a crash or an outage left undone, until cancelled."""
        await keep_on("the watch over blocked devices", self._look)

    async def _look(self) -> None:
        await self.reconcile()
        await asyncio.sleep(self._look_seconds)

    async def reconcile(self) -> None:
        """Have the issue open for exactly those devices that the server blocked."""
        async with self._identities.changing:
            blocked = await self._devices.find(states=["blocked"])
            findings = [
                Finding(one.device_id, one.hostname, one.blocked_reason)
                for one in blocked
                if one.blocked_by == SERVER
            ]
            await self._issues.reconcile(
                CLONE, findings, self._clock(), gone="the device is not blocked any more"
            )

    async def _expect(self, device_id: str, state: str) -> None:
        device = await self._devices.get(device_id)
        if device is None:
            raise NotFound("there is no such device", code="no-device", subject=device_id[:64])
        if device.state != state:
            raise PreconditionFailed(
                f"the device is {device.state}",
                code="wrong-state",
                subject=device_id,
                remedy="only active devices can be blocked, and only blocked ones unblocked",
            )


def blocked_error(by: str, device_id: str = "") -> Forbidden:
    """Return the one answer to a blocked device; an operator's reason is not for its holder."""
    why = "two machines use its identity" if by == SERVER else "an operator blocked it"
    return Forbidden(
        f"this device is cut off: {why}", code="blocked", subject=device_id, remedy=_REMEDY
    )
