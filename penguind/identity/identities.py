"""Cached identity records for the guard, and the callers that live on them.

A record is read again after two seconds, so that several server processes agree soon; this
process drops it at once when it changes it.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from penguind.workers import keep_on
from penguindome import certs
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from penguind.caller import Caller
    from penguind.domain.device import Device
    from penguind.store.devices import DeviceStore
    from penguind.store.operators import OperatorStore

log = logger("penguind.identity.identities")

_FRESH = timedelta(seconds=2)
_KEPT = 50_000
_SWEEP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Identity:
    """What the guard compares a certificate with. `pending` is a key not used yet.

    `hostname` is what the device called itself, empty for an operator; `held_by` is who blocked
    it.
    """

    state: str
    serials: tuple[str, ...]
    spki: bytes
    pending_spki: bytes | None
    roles: frozenset[str]
    hostname: str = ""
    held_by: str = ""


class Identities:
    """Records by (kind, name), and the live callers of each.

    `changing` is held by whoever blocks or unblocks until people are told of it, too.
    """

    def __init__(
        self, devices: DeviceStore, operators: OperatorStore, clock: Callable[[], datetime]
    ) -> None:
        self._devices = devices
        self._operators = operators
        self._clock = clock
        self._cache: OrderedDict[tuple[str, str], tuple[Identity | None, datetime]] = OrderedDict()
        self._seen_time = clock()
        self.changing = asyncio.Lock()
        self._live: defaultdict[tuple[str, str], set[Caller]] = defaultdict(set)

    async def get(self, kind: str, name: str) -> Identity | None:
        """Return the record, at most two seconds old."""
        now = self._clock()
        found = self._cache.get((kind, name))
        if found is not None and now - _FRESH <= found[1] <= now:
            return found[0]
        identity = await (self._device(name) if kind == "device" else self._operator(name))
        self._cache[kind, name] = (identity, now)
        self._cache.move_to_end((kind, name))
        if len(self._cache) > _KEPT:
            self._cache.popitem(last=False)
        return identity

    async def promote_key(self, device_id: str, spki: bytes) -> None:
        """Make a device's pending key its only one: it was just used."""
        await self._devices.promote_key(device_id, spki, certs.fingerprint(spki))
        self.forget("device", device_id)

    async def suspend_dormant(self, device: Device, now: datetime) -> bool:
        """Have an active device that was silent for too long approved again; True if it was."""
        if device.state != "active" or not device.dormant(now):
            return False
        log.info("Device {} was silent for too long: it waits for approval", device.device_id)
        await self._devices.suspend_dormant(device.device_id)
        self.end("device", device.device_id)
        return True

    def forget(self, kind: str, name: str) -> None:
        """Read the record anew at the next call."""
        self._cache.pop((kind, name), None)

    def revoke_device(self, device_id: str) -> None:
        """End everything that lives on a device's identity, at once."""
        self.end("device", device_id)

    def end(self, kind: str, name: str) -> None:
        """Forget a record and tell its live callers that their identity ended."""
        self.forget(kind, name)
        for caller in self._live.get((kind, name), ()):
            caller.ended.set()

    @contextmanager
    def living(self, caller: Caller) -> Iterator[None]:
        """Count a caller among the living while its RPC runs."""
        key = (caller.kind, caller.name)
        self._live[key].add(caller)
        try:
            yield
        finally:
            self._live[key].discard(caller)
            if not self._live[key]:
                del self._live[key]

    async def run(self) -> None:
        """End callers whom other processes revoked or blocked, or whose certificates ended."""
        self._seen_time = self._clock()
        await keep_on("the watch for revocations", self._sweep, pause_seconds=_SWEEP_SECONDS)

    async def _sweep(self) -> None:
        await asyncio.sleep(_SWEEP_SECONDS)
        now = self._clock()
        self._end_expired(now)
        await self._end_revoked(self._seen_time - 5 * _FRESH)
        self._seen_time = now

    async def _end_revoked(self, since: datetime) -> None:
        for device_id in await self._devices.ended_since(since):
            self.end("device", device_id)
        for name in await self._operators.revoked():
            self.end("operator", name)

    def _end_expired(self, now: datetime) -> None:
        for callers in list(self._live.values()):
            for caller in callers:
                if caller.expires_time is not None and caller.expires_time < now:
                    caller.ended.set()

    async def _device(self, device_id: str) -> Identity | None:
        device = await self._devices.get(device_id)
        if device is None:
            return None
        return Identity(
            state=device.state,
            serials=device.serials,
            spki=device.spki,
            pending_spki=device.pending_spki,
            roles=frozenset(),
            hostname=device.hostname,
            held_by=device.blocked_by,
        )

    async def _operator(self, name: str) -> Identity | None:
        found = await self._operators.get(name)
        if found is None:
            return None
        state = "revoked" if found.revoked else "active"
        return Identity(state, found.serials, found.spki, None, frozenset(found.roles))
