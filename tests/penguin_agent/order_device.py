"""A device's engine of orders in this process, with a post office in memory for a server."""

from __future__ import annotations

import asyncio
import getpass
import json
import secrets
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penguin_agent.clock import DeviceClock
from penguin_agent.config import Allow
from penguin_agent.failpoints import no_failpoint
from penguin_agent.orders.judging import Owner
from penguin_agent.orders.making import Surroundings, make_orders
from penguin_agent.release.sealed import Programs
from penguindome import keys
from penguindome.errors import Unavailable
from penguindome.ids import new_device_id, new_ulid
from penguindome.orders.bodies import CancelBody, CommandBody
from penguindome.orders.receipts import open_receipt
from penguindome.times import utc_now

if TYPE_CHECKING:
    from pathlib import Path

HOST = "web1"
ME = getpass.getuser()
SECONDS = 30


class PostOffice:
    """What a server would hold: receipts by order and part, output by stream too."""

    def __init__(self, fleet: str, device_id: str, spki: bytes) -> None:
        self._who = {"fleet": fleet, "device_id": device_id}
        self.spki = spki
        self.receipts: dict[tuple[str, str], list] = {}
        self.output: dict[tuple[str, str, str], bytes] = {}
        self.failures: list[Exception] = []
        self.lost_answers = 0
        self.unknown: set[str] = set()
        self.calls: list[tuple[int, int]] = []
        self.connection = self
        self.connected = asyncio.Event()
        self.connected.set()

    async def submit_order_updates(self, receipts, pieces):
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        size = sum(len(one.payload) for one in receipts) + sum(len(one.data) for one in pieces)
        assert size <= 1024 * 1024
        self.calls.append((len(receipts), len(pieces)))
        opened = [open_receipt(one, spki=self.spki, **self._who) for one in receipts]
        asked = {one.order_id for one in opened} | {one.stream.order_id for one in pieces}
        for one in opened:
            if one.order_id not in self.unknown:
                self.receipts.setdefault((one.order_id, one.part), []).append(one)
        for one in pieces:
            assert len(one.data) <= 256 * 1024
            key = (one.stream.order_id, one.stream.part, one.stream.name)
            held = self.output.get(key, b"")
            assert one.offset <= len(held), "a hole in the output"
            self.output[key] = held[: one.offset] + one.data
        if self.lost_answers:
            self.lost_answers -= 1
            raise Unavailable("the answer is lost")
        return tuple(asked & self.unknown)

    def reconnect(self, *, renew: bool = False) -> None:
        """Do nothing: there is no channel."""

    def states(self, order_id: str, part: str = "") -> list[str]:
        return [one.state for one in self.receipts.get((order_id, part), [])]

    def last(self, order_id: str, part: str = ""):
        return (self.receipts.get((order_id, part)) or [None])[-1]


class Wall:
    """A clock that tests move."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def __call__(self):
        return utc_now() + self.offset


class Device:
    """One device; `running` starts its engine, again and again on the same state."""

    def __init__(self, folder: Path, fleet: Any, *signers: str, **settings: Any) -> None:
        self.fleet = fleet
        self.folder = folder
        self.device_id = settings.pop("device_id", new_device_id())
        self.document = fleet.document(
            *(signers or ("alice",)), threshold=settings.pop("threshold", 1)
        )
        self.newer: Any = None
        self.key = keys.generate_key()
        self.wall = Wall()
        self.allow = Allow(**settings)
        self.hostname = HOST
        self.failpoint = no_failpoint
        self.post = PostOffice(fleet.id, self.device_id, keys.key_spki(self.key))
        self.orders: Any = None
        self.more_acts: dict[str, Any] = {}
        self.delivered: list[str] = []

    def command(self, *argv: str, by: tuple[str, ...] = ("alice",), **changes: Any):
        """Return a signed command for this device."""
        body = {"argv": argv, "name": "try", "user": ME, **changes.pop("body", {})}
        value = CommandBody({self.device_id: changes.pop("host", HOST)}, **body).to_json()
        return self.order("command", value, by=by, **changes)

    def cancel(self, *order_ids: str, kind: str = "cancel-command", **changes: Any):
        body = CancelBody({self.device_id: HOST}, order_ids).to_json()
        return self.order(kind, body, **changes)

    def order(self, kind: str, body, *, by: tuple[str, ...] = ("alice",), **changes: Any):
        now = self.wall().replace(microsecond=0)
        times = {
            "id": new_ulid(now),
            "issued_time": now,
            "not_before_time": now,
            "expires_time": now + timedelta(hours=1),
        }
        payload = self.fleet.order(self.device_id, kind, body=body, **{**times, **changes})
        return self.fleet.sign(kind, payload, *by)

    async def renew_trust(self, version: int) -> bool:
        if self.newer is None:
            return False
        self.document, self.newer = self.newer, None
        return True

    @asynccontextmanager
    async def running(self):
        async with asyncio.TaskGroup() as group:
            clock = DeviceClock(self.wall)
            self.orders = make_orders(
                Surroundings(
                    state_dir=self.folder,
                    owner=Owner(self.fleet.id, self.device_id, lambda: self.hostname),
                    key_pem=lambda: self.key,
                    clock=clock,
                    trust=lambda: self.document,
                    renew_trust=self.renew_trust,
                    allow=self.allow,
                    link=self.post,  # type: ignore[arg-type]
                    programs=Programs(self.folder / "copies"),
                    delivered=self.delivered.append,
                    group=group,
                    failpoint=self.failpoint,
                )
            )
            self.orders.acts.update(self.more_acts)
            tasks = [
                group.create_task(self.orders.engine.run()),
                group.create_task(self.orders.updates.run()),
            ]
            await until(lambda: self.orders.store.file.is_open)
            try:
                yield self
            finally:
                while left := [task for task in tasks if not task.done()]:
                    for task in left:
                        task.cancel()
                    await asyncio.wait(left, timeout=0.5)
                self.orders.store.file.close()

    def put(self, envelope) -> str:
        """Hand an envelope over; returns the id that it claims."""
        self.orders.engine.put(envelope)
        return claimed_id(envelope)

    async def ended(self, order_id: str, part: str = ""):
        """Return the final receipt of an order once it is there."""
        post = self.post
        await until(lambda: (last := post.last(order_id, part)) is not None and last.is_final)
        return post.last(order_id, part)

    async def done(self, envelope):
        """Hand an envelope over and return the final receipt."""
        return await self.ended(self.put(envelope))

    def printed(self, order_id: str, stream: str = "stdout", part: str = "") -> bytes:
        return self.post.output.get((order_id, part, stream), b"")

    def run(self, story) -> Any:
        """Run an asynchronous story with this device's engine."""

        async def whole():
            async with self.running():
                return await story(self)

        return asyncio.run(whole())


def claimed_id(envelope) -> str:
    try:
        return json.loads(envelope.payload)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


async def until(condition, seconds: float = SECONDS):
    """Wait until a condition holds, and return what it returned."""
    end = asyncio.get_running_loop().time() + seconds
    while not (found := condition()):
        assert asyncio.get_running_loop().time() < end, "it did not happen in time"
        await asyncio.sleep(0.01)
    return found


def word() -> str:
    return secrets.token_hex(4)
