"""An act that tests hold in their hands, and orders for it."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta

from penguin_agent.orders.acts import Outcome
from penguindome.ids import new_ulid
from penguindome.orders.bodies import PatchBody, PatchFile
from penguindome.orders.manifest import FileEntry
from penguindome.orders.release_body import ReleaseBody
from tests.penguin_agent.order_device import HOST, Device

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


class Recorded:
    """An act that does nothing but note that it was called, and end when it is told to."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.resumed: list[str] = []
        self.parallel = self.most = 0
        self.gate = asyncio.Event()
        self.outcome = Outcome("succeeded")

    async def run(self, order, progress):
        self.ran.append(order.order_id)
        self.parallel += 1
        self.most = max(self.most, self.parallel)
        try:
            await self.gate.wait()
        finally:
            self.parallel -= 1
        return self.outcome

    async def resume(self, order, progress):
        self.resumed.append(order.order_id)
        return Outcome("interrupted", "asked", "interrupted")


def recorded_device(folder, fleet, *signers, **settings):
    """Return a device whose acts do nothing but note that they were called."""
    device = Device(folder, fleet, *signers, **settings)
    device.act = Recorded()
    device.act.gate.set()
    device.more_acts = dict.fromkeys(("command", "patch", "release", "wipe"), device.act)
    return device


def release(device, number: int, label: str = "r", **changes):
    fields = {"devices": None, "seq": number, "body": ReleaseBody(label, ()).to_json()}
    now = device.wall().replace(microsecond=0)
    times = {"issued_time": now, "not_before_time": now, "expires_time": now + DAY}
    payload = device.fleet.order(
        None, "release", **{**fields, "id": new_ulid(now), **times, **changes}
    )
    return device.fleet.sign("release", payload, "alice")


def patch(device, path: str = "plugins/x"):
    entry = FileEntry(path, 0o644, 0, hashlib.sha256(b"").hexdigest())
    body = PatchBody({device.device_id: HOST}, (PatchFile(path, entry, b""),))
    return device.order("patch", body.to_json())


async def settled(device, count: int = 20):
    """Wait until nothing is under way."""
    for _ in range(count):
        await asyncio.sleep(0.02)
