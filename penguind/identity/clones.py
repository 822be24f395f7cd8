"""Telling one device from two holders of its key, by what they heard last.

The rule is `penguind.domain.ratchet`; here it meets time and the database:

1. Every value is safe on a majority before it is handed out, and of two turns at once one wins.
2. A connection is not judged once a newer one came in: it may have been on its way for long, and
   says what the device held then.
3. Who presents what nobody may hold waits a moment and is judged again. The last words of a dead
   connection can arrive late, but its end follows them.
4. The verdict falls on a record that a majority confirms to be the newest.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from itertools import count
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from penguind.domain.ratchet import VALUE_BYTES, current
from penguind.identity.blocking import SERVER, blocked_error
from penguindome.errors import InvalidInput, Unavailable

if TYPE_CHECKING:
    from penguind.identity.blocking import Blocking
    from penguind.store.devices import DeviceStore
    from penguind.store.meta import MetaStore
    from penguind.store.ratchets import RatchetStore

_PARALLEL = 32
_TRIES = 8
_LATE_SECONDS = 1.0
# As long as the stream of a former connection is told to stay away.
_OVERTAKEN_SECONDS = 30
_KEPT = 100_000


class Clones:
    """Turns devices' ratchets, and has devices blocked that two machines claim to be.

    Args:
        ratchets: what each device was handed out.
        devices: the devices' records.
        meta: tells the database's epoch.
        blocking: cuts a device off.
        late_seconds: how long the last words of a dead connection may be on their way.
    """

    def __init__(
        self,
        *,
        ratchets: RatchetStore,
        devices: DeviceStore,
        meta: MetaStore,
        blocking: Blocking,
        late_seconds: float = _LATE_SECONDS,
    ) -> None:
        self._ratchets = ratchets
        self._devices = devices
        self._meta = meta
        self._blocking = blocking
        self._late_seconds = late_seconds
        self._turns = asyncio.Semaphore(_PARALLEL)
        self._arrivals = count(1)
        self._newest: OrderedDict[str, int] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def check_in(self, device_id: str, presented: bytes, address: str) -> bytes:
        """Return the value to hand out to a device that presents what it holds.

        Args:
            device_id: who checks in.
            presented: the value that the device holds.
            address: where it calls from, for people.

        Raises:
            Forbidden: two machines use the identity, which is blocked now.
            Unavailable: a newer connection came in meanwhile, or the database is away.
        """
        arrival = next(self._arrivals)
        value = await self._turn(device_id, presented, arrival)
        if value is None:
            await asyncio.sleep(self._late_seconds)
            value = await self._turn(device_id, presented, arrival, judge=True)
        if value is None:
            raise await self._found(device_id, address)
        return value

    async def confirm(self, device_id: str, value: bytes) -> None:
        """Note that a value is on the device's disk.

        Raises:
            InvalidInput: it is none.
            Unavailable: the database is away, or too much happens at once.
        """
        if len(value) != VALUE_BYTES:
            raise InvalidInput(f"not a value of {VALUE_BYTES} bytes", subject="ratchet")
        for _ in range(_TRIES):
            held = await self._ratchets.get(device_id)
            turned = None if held is None else held.confirmed(value)
            if turned is None or await self._ratchets.put(device_id, turned, held):
                return
        raise _too_much()

    def _expect_newest(self, device_id: str, arrival: int) -> None:
        if self._newest.get(device_id, 0) > arrival:
            raise Unavailable(
                "a newer connection of this device came in", retry_after_seconds=_OVERTAKEN_SECONDS
            )

    async def _turn(
        self, device_id: str, presented: bytes, arrival: int, *, judge: bool = False
    ) -> bytes | None:
        """Return a value that is safe to hand out; None if nobody may present that.

        `judge` makes sure of the second, in the database.
        """
        fresh = secrets.token_bytes(VALUE_BYTES)
        # What the newest connection is given must be the last that is given.
        lock = self._locks.setdefault(device_id, asyncio.Lock())
        async with lock, self._turns:
            for _ in range(_TRIES):
                self._expect_newest(device_id, arrival)
                held = await self._ratchets.get(device_id)
                ratchet = current(held, await self._meta.epoch())
                turned = ratchet.checked_in(presented, fresh)
                if turned is None and not judge:
                    return None
                if await self._ratchets.put(device_id, turned or ratchet.looked_at(), held):
                    return self._came_in(device_id, arrival, fresh) if turned else None
        raise _too_much()

    def _came_in(self, device_id: str, arrival: int, fresh: bytes) -> bytes:
        self._newest[device_id] = arrival
        self._newest.move_to_end(device_id)
        if len(self._newest) > _KEPT:
            self._newest.popitem(last=False)
        return fresh

    async def _found(self, device_id: str, address: str) -> Exception:
        """Block the device, and return what both machines are told."""
        device = await self._devices.get(device_id)
        former = "" if device is None else device.peer_address
        where = f", now from {address}" if address else ""
        before = f" and before from {former}" if former and former != address else ""
        reason = f"two machines use its identity{where}{before}"
        if device is not None:
            await self._blocking.clone(device, reason)
        return blocked_error(SERVER, device_id)


def _too_much() -> Unavailable:
    return Unavailable("this device connects too often at once", retry_after_seconds=5)
