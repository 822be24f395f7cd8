"""Sessions that go on: joins the operator's leg with the device's, and outlives the loss of either.

1. What passes is sealed and numbered by the two ends; here it is only handed on.
2. Frames of one end are held back, and dropped, from the moment that the other end came (again)
   until the first one answered to that: it sends again whatever the other lacks.
3. Both ends keep to a window. Who sends more than that ends its session; nothing piles up here.
Everything happens in the event loop's thread.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from penguindome.shell.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

# Several windows: acknowledgements and frames that were under way when an end came back.
WAITING_BYTES = 2 * 1024 * 1024
_LEAST_BYTES = 128


@dataclass(frozen=True, slots=True)
class Frame:
    """Sealed bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """How many frames the other end has."""

    count: int


@dataclass(frozen=True, slots=True)
class Answered:
    """The device is there; what it answered to the order, and how many frames it has."""

    payload: bytes
    signature: bytes
    count: int


@dataclass(frozen=True, slots=True)
class OperatorHere:
    """The operator is there, with so many frames."""

    count: int


@dataclass(frozen=True, slots=True)
class OperatorLost:
    """The operator's leg is lost."""


@dataclass(frozen=True, slots=True)
class EndWanted:
    """The device shall end the session."""

    reason: str


@dataclass(frozen=True, slots=True)
class News:
    """What the session waits for, for the operator; see SessionState in shell.proto."""

    state: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Alive:
    """The answer to an end that asks whether we are there."""


Message = Alive | Frame | Acknowledged | Answered | OperatorHere | OperatorLost | EndWanted | News


class Outlet:
    """What waits to be sent down one leg; `over` once nothing follows."""

    def __init__(self) -> None:
        self.over = False
        self._pump: Pump[Message] = Pump(self.take)
        self._asked = False
        self._waiting: deque[Message] = deque()
        self._bytes = 0

    def put(self, message: Message) -> bool:
        """Add a message; False when more waits than an honest end has under way: it is dropped."""
        if self.over or self._pump.begin(message):
            return True
        if isinstance(message, Frame | Acknowledged) and self._bytes > WAITING_BYTES:
            return False
        self._bytes += _size(message)
        self._waiting.append(message)
        self._pump.wake()
        return True

    def take(self) -> Message | None:
        """Remove and return the next message, None when nothing waits."""
        if self._asked:
            self._asked = False
            return Alive()
        if not self._waiting:
            return None
        message = self._waiting.popleft()
        self._bytes -= _size(message)
        return message

    def asked(self) -> None:
        """Answer an end that asks whether we are there, once however often it asked."""
        self._asked = True
        self._pump.wake()

    def forget_frames(self) -> None:
        """Drop frames that wait: they are sent again."""
        self._waiting = deque(one for one in self._waiting if not isinstance(one, Frame))
        self._bytes = sum(map(_size, self._waiting))

    def end(self) -> None:
        """Let the leg end after what waits."""
        self.over = True
        self._pump.wake()

    async def write_with(self, write: Callable[[Message], Coroutine[Any, Any, None]]) -> None:
        """Have everything sent by `write`, one after the other, until the leg is over."""
        await self._pump.run(write, lambda: self.over)


def _size(message: Message) -> int:
    """Return what a message counts for while it waits; an empty one takes memory, too."""
    return _LEAST_BYTES + (len(message.data) if isinstance(message, Frame) else 0)


@dataclass(slots=True)
class LiveSession:
    """One session.

    Attributes:
        order_id: The shell order's.
        device_id: The device.
        operator: Who opened it.
        moderators: Who may watch for it to go on; empty where nobody has to.
        changed: Is called when a leg comes or goes.
        lost_at: When the last leg went, by the clock of `steady`; None while there is one.
    """

    order_id: str
    device_id: str
    operator: str
    moderators: frozenset[str] = frozenset()
    changed: Callable[[], None] = lambda: None
    lost_at: float | None = None
    operator_leg: Outlet | None = None
    device_leg: Outlet | None = None
    watchers: list[str] = field(default_factory=list)
    ended_reason: str = ""
    _answer: Answered | None = None
    _operator_count: int = 0
    _device_count: int = 0
    _passes_to_device: bool = False
    _passes_to_operator: bool = False

    @property
    def is_watched(self) -> bool:
        """Tell whether it may go on, as far as watching is concerned."""
        return not self.moderators or not self.moderators.isdisjoint(self.watchers)

    def join_operator(self, count: int) -> Outlet:
        """Return the operator's new leg, in place of a former one, which ends."""
        if self.operator_leg is not None:
            self.operator_leg.end()
        self.operator_leg, self._operator_count = Outlet(), count
        self._passes_to_device = self._passes_to_operator = False
        if self.ended_reason:
            self.operator_leg.put(News("ended", self.ended_reason))
        else:
            self._introduce()
        self.changed()
        return self.operator_leg

    def join_device(self, answer: Answered) -> Outlet:
        """Return the device's new leg, in place of a former one, which ends."""
        if self.device_leg is not None:
            self.device_leg.end()
        self.device_leg, self._answer = Outlet(), answer
        self._device_count = answer.count
        self._passes_to_device = self._passes_to_operator = False
        if self.ended_reason:
            self.device_leg.put(EndWanted(self.ended_reason))
        else:
            self._introduce()
        self.changed()
        return self.device_leg

    def leave(self, leg: Outlet, now: float) -> None:
        """Note that a leg is lost."""
        if leg is self.operator_leg:
            self.operator_leg = None
            self._passes_to_device = self._passes_to_operator = False
            self._tell_device(OperatorLost())
        elif leg is self.device_leg:
            self.device_leg = None
            self._passes_to_device = self._passes_to_operator = False
            self._tell_operator(News("waiting-link"))
        if self.operator_leg is None and self.device_leg is None:
            self.lost_at = now
        self.changed()

    def watch(self, name: str) -> None:
        """Note that an operator watches."""
        was_watched = self.is_watched
        self.watchers.append(name)
        if not was_watched and self.is_watched:
            self._introduce()

    def unwatch(self, name: str) -> None:
        """Note that an operator watches no more; the last moderator takes the session along."""
        was_watched = self.is_watched
        self.watchers.remove(name)
        if was_watched and not self.is_watched:
            self.end(f"{name}, who had to watch, left")

    def from_operator(self, leg: Outlet, message: Frame | Acknowledged | None) -> None:
        """Hand on what the operator's end sent; None means that it is in step again."""
        if leg is not self.operator_leg:
            return
        if message is None:
            self._passes_to_device = self.is_watched
        elif isinstance(message, Acknowledged):
            self._operator_count = message.count
            self._tell_device(message)
        elif self._passes_to_device:
            self._tell_device(message)

    def from_device(self, leg: Outlet, message: Frame | Acknowledged | None) -> None:
        """Hand on what the device's end sent; None means that it is in step again."""
        if leg is not self.device_leg:
            return
        if message is None:
            self._passes_to_operator = self.is_watched
        elif isinstance(message, Acknowledged):
            self._device_count = message.count
            self._tell_operator(message)
        elif self._passes_to_operator:
            self._tell_operator(message)

    def end(self, reason: str) -> None:
        """End the session: the device is told to, and the operator that it was."""
        self.ended_reason = self.ended_reason or reason
        self._passes_to_device = False
        self._tell_device(EndWanted(reason))
        if self.device_leg is None and self.operator_leg is not None:
            self.operator_leg.put(News("ended", reason))
            self.operator_leg.end()

    def over(self, state: str, reason: str) -> None:
        """Hear that the session's order ended on the device, as far as the server knows."""
        self.ended_reason = self.ended_reason or reason or state
        self._tell_operator(News("ended", reason or state))

    def _introduce(self) -> None:
        """Tell the two ends of each other, once both are there and may."""
        if self.device_leg is None or self._answer is None:
            self._tell_operator(News("waiting-device"))
            return
        if not self.is_watched:
            self._tell_operator(News("waiting-moderator"))
            return
        if self.operator_leg is None:
            return
        self.device_leg.forget_frames()
        self.operator_leg.forget_frames()
        answer = self._answer
        self._tell_operator(Answered(answer.payload, answer.signature, self._device_count))
        self._tell_device(OperatorHere(self._operator_count))
        self._tell_operator(News("running"))

    def _tell_operator(self, message: Message) -> None:
        leg = self.operator_leg
        if leg is not None and not leg.put(message) and not self.ended_reason:
            self.end("the device sent more than it may")

    def _tell_device(self, message: Message) -> None:
        leg = self.device_leg
        if leg is not None and not leg.put(message) and not self.ended_reason:
            leg.forget_frames()
            self.end("the operator's end sent more than it may")
