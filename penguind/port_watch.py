"""Find devices that still use a deprecated listener: the issue `deprecated-port` names them.

What was before the server's start is not known: an issue of a device that was not heard since
stays for a day. Devices come back at once after a restart, and say by that where they are.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penguind.domain.port_use import PERIOD, PortUse
from penguind.own_issues import Finding
from penguind.workers import keep_on

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from penguind.config_listeners import ListenerSettings
    from penguind.own_issues import OwnIssues
    from penguind.presence import Presence
    from penguindome.times import Clock

ISSUE = "deprecated-port"
_LOOK_SECONDS = 60.0
# A fleet that comes back at once is looked at in one go.
_SETTLE_SECONDS = 1.0


class PortWatch:
    """Remembers who uses which listener; `run` keeps the issues in line.

    Args:
        listeners: all of them.
        presence: the open streams, whose listeners are in use all the time.
        issues: opens and closes.
        hostname: looks up what a device calls itself.
        clock: tells the time.
        look_seconds: how often it is looked, beside when something changed.
        settle_seconds: how long to wait for more after a change.
    """

    def __init__(
        self,
        *,
        listeners: Sequence[ListenerSettings],
        presence: Presence,
        issues: OwnIssues,
        hostname: Callable[[str], Awaitable[str]],
        clock: Clock,
        look_seconds: float = _LOOK_SECONDS,
        settle_seconds: float = _SETTLE_SECONDS,
    ) -> None:
        self._listeners = {one.name: one for one in listeners}
        self._watching = any(one.deprecated for one in listeners)
        self._presence = presence
        self._issues = issues
        self._hostname = hostname
        self._clock = clock
        self._look_seconds = look_seconds
        self._settle_seconds = settle_seconds
        self._started_time = clock()
        self._uses: dict[str, dict[str, PortUse]] = {}
        self._changed = asyncio.Event()

    def note(self, device_id: str, listener: str) -> None:
        """Note that a device uses a listener now."""
        if not self._watching:
            return
        now, one = self._clock(), self._listeners[listener]
        kinds = self._uses.setdefault(device_id, {})
        before = kinds.get(one.kind, PortUse())
        kinds[one.kind] = before.used(listener, now, deprecated=one.deprecated)
        if kinds[one.kind].lingers(now) != before.lingers(now):
            self._changed.set()

    async def run(self) -> None:
        """Open and close issues for ever."""
        await keep_on("looking for devices on deprecated ports", self._turn)

    async def _turn(self) -> None:
        self._changed.clear()
        now = self._clock()
        for device_id, listener in self._presence.listeners().items():
            self.note(device_id, listener)
        self._forget(now)
        await self._reconcile(now)
        try:
            async with asyncio.timeout(self._look_seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._settle_seconds)

    async def _reconcile(self, now: datetime) -> None:
        if not self._watching:
            gone = "no port is deprecated any more"
            await self._issues.reconcile(ISSUE, (), now, gone=gone)
            return
        findings = []
        for device_id in sorted(self._uses):
            lingering = self._lingering(device_id, now)
            if lingering is not None:
                findings.append(_finding(device_id, await self._hostname(device_id), lingering))
        early = now - self._started_time < PERIOD
        await self._issues.reconcile(
            ISSUE,
            findings,
            now,
            gone="the device does not use the deprecated port any more",
            among=set(self._uses) if early else None,
        )

    def _lingering(self, device_id: str, now: datetime) -> ListenerSettings | None:
        """Return the deprecated listener that a device uses, a main one first."""
        for _, use in sorted(self._uses[device_id].items(), reverse=True):
            if use.lingers(now):
                return self._listeners[use.deprecated]
        return None

    def _forget(self, now: datetime) -> None:
        over = [
            device_id
            for device_id, kinds in self._uses.items()
            if all(use.over(now) for use in kinds.values())
        ]
        for device_id in over:
            del self._uses[device_id]


def _finding(device_id: str, hostname: str, listener: ListenerSettings) -> Finding:
    return Finding(
        device_id,
        hostname,
        reason=f"it dials the {listener.kind} listener {listener.name}, port {listener.port}",
        evidence={
            "listener": listener.name,
            "kind": listener.kind,
            "port": listener.port,
        },
    )
