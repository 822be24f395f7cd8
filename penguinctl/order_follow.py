"""Following an order: what its targets are at, and what programs print, until enough of it ended.

The stream is read by a thread of its own, so that ctrl-C is heard at once and silence is noticed. A
connection that breaks is made again; output that was seen already is not told twice. Where the
stream has been silent for a while, the server is asked who is still connected.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penguinctl import wire
from penguindome.errors import InvalidInput, PenguinDomeError, Unavailable
from penguindome.orders.receipts import FINAL, read_receipt

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

    from penguinctl.app import App
    from penguinctl.session import Stream
    from penguindome.orders.receipts import Receipt
    from penguindome.v1 import order_pb2

# Who has not got the order yet, or what no device was heard of.
UNSENT = ("waiting", "queued")
_SILENCE_SECONDS = 5.0
_AGAIN_SECONDS = 1.0
# How long output that the device still owes is waited for, once its program ended.
_OWED_SECONDS = 30.0
# How long a server that went away is waited for.
_AWAY_SECONDS = 120.0
_ENDED = object()

Key = tuple[str, str]


@dataclass(slots=True)
class Seen:
    """All that is known of an order.

    Attributes:
        order: As it was told last.
        targets: By device and part.
        started: Whether all targets were told once.
        printed: How many bytes of each stream came, by device, part and stream.
        ended: When a target's end was heard of, by `time.monotonic`.
    """

    order: order_pb2.Order
    targets: dict[Key, order_pb2.OrderTarget] = field(default_factory=dict)
    started: bool = False
    printed: dict[tuple[str, str, str], int] = field(default_factory=dict)
    ended: dict[Key, float] = field(default_factory=dict)

    def awaited(self) -> list[order_pb2.OrderTarget]:
        """Return targets that did not end, and whose device is there."""
        return [one for one in self.targets.values() if one.connected and not self.is_done(one)]

    def sorted(self) -> list[order_pb2.OrderTarget]:
        """Return all targets by hostname."""
        return sorted(self.targets.values(), key=lambda one: (one.hostname, key_of(one)))

    def left(self) -> list[order_pb2.OrderTarget]:
        """Return all targets that did not end."""
        return [one for one in self.targets.values() if one.state not in FINAL]

    def is_done(self, one: order_pb2.OrderTarget) -> bool:
        """Tell whether a target ended, and all that it printed has come."""
        if one.state not in FINAL:
            return False
        said = receipt_of(one)
        since = self.ended.get(key_of(one), 0.0)
        if said is None or time.monotonic() - since > _OWED_SECONDS:
            return True
        came = (self._printed(one, "stdout"), self._printed(one, "stderr"))
        return came[0] >= said.stdout_bytes and came[1] >= said.stderr_bytes

    def _printed(self, one: order_pb2.OrderTarget, stream: str) -> int:
        return self.printed.get((one.device_id, one.part, stream), 0)


def key_of(one: order_pb2.OrderTarget) -> Key:
    """Return what tells a target from an order's others."""
    return one.device_id, one.part


def receipt_of(one: order_pb2.OrderTarget) -> Receipt | None:
    """Return what a device's receipt says, whether it is its own or not; None without one."""
    try:
        return read_receipt(one.receipt.payload) if one.receipt.payload else None
    except InvalidInput:
        return None


class Following:
    """An order that is followed; `with Following(app, order, output=True) as events: for … in`."""

    def __init__(self, app: App, order: order_pb2.Order, *, output: bool) -> None:
        """Take the order, and whether what programs print is wanted."""
        self.seen = Seen(order)
        self._app = app
        self._request = wire.order_pb2.WatchOrderRequest(order_id=order.order_id, output=output)
        self._output = output
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._stream: Stream | None = None
        self._away_since: float | None = None

    def __enter__(self) -> Self:
        """Open the stream."""
        self._open()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        """Close it; on the devices everything goes on."""
        if self._stream is not None:
            self._stream.cancel()

    def __iter__(self) -> Iterator[order_pb2.WatchOrderResponse | None]:
        """Yield events that are new, and None in times of silence, until the server ends it."""
        while True:
            try:
                found = self._queue.get(timeout=_SILENCE_SECONDS)
            except queue.Empty:
                self._look()
                yield None
                continue
            if found is _ENDED:
                return
            if isinstance(found, PenguinDomeError):
                self._reopen(found)
                yield None
                continue
            self._away_since = None
            if self._is_new(found):
                yield found

    def _open(self) -> None:
        stream = self._stream = self._app.stream("order.WatchOrder", self._request)
        threading.Thread(target=self._pump, args=(stream, self._queue), daemon=True).start()

    @staticmethod
    def _pump(stream: Stream, found: queue.SimpleQueue[Any]) -> None:
        try:
            for event in stream:
                found.put(event)
        except PenguinDomeError as error:
            found.put(error)
        else:
            found.put(_ENDED)

    def _reopen(self, error: PenguinDomeError) -> None:
        now = time.monotonic()
        self._away_since = self._away_since or now
        if not isinstance(error, Unavailable) or now - self._away_since > _AWAY_SECONDS:
            raise error
        time.sleep(_AGAIN_SECONDS)
        self._app.reconnect()
        try:
            self._open()
        except Unavailable as again:
            self._queue.put(again)

    def _look(self) -> None:
        """Ask who is connected: nobody tells that a device went away."""
        request = wire.order_pb2.GetOrderRequest(order_id=self.seen.order.order_id)
        try:
            response = self._app.call("order.GetOrder", request)
        except Unavailable:
            return
        for one in response.targets:
            held = self.seen.targets.get(key_of(one))
            if held is not None:
                held.connected = one.connected

    def _is_new(self, event: order_pb2.WatchOrderResponse) -> bool:
        seen = self.seen
        match event.WhichOneof("event"):
            case "order":
                seen.order = event.order
            case "target":
                key = key_of(event.target)
                before = seen.targets.get(key)
                seen.targets[key] = event.target
                if event.target.state in FINAL:
                    seen.ended.setdefault(key, time.monotonic())
                return before is None or before != event.target
            case "started":
                again, seen.started = seen.started, True
                return not again
            case "output":
                return self._is_new_output(event)
        return True

    def _is_new_output(self, event: order_pb2.WatchOrderResponse) -> bool:
        """Cut off what was told before the connection broke."""
        piece = event.output
        place = (event.device_id, piece.part, piece.stream)
        told = self.seen.printed.get(place, 0)
        known = max(told - piece.offset, 0)
        if known >= len(piece.data):
            return False
        if known:
            piece.data, piece.offset = piece.data[known:], piece.offset + known
        self.seen.printed[place] = piece.offset + len(piece.data)
        return True
