"""Which devices hold a stream, and what waits to be sent down each.

Everything here happens in the event loop's thread. The newest stream of a device wins: a laptop
that changed its network comes back before its former connection is known to be dead.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguindome.envelope import Envelope

_WAITING_MESSAGES = 64
# Two machines with one identity would otherwise push each other out all the time.
_REPLACED_SECONDS = 30


@dataclass(frozen=True, slots=True)
class CollectNow:
    """A wish for fresh outputs; no plugin names means all of them."""

    plugins: tuple[str, ...]
    request_id: str


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """The server's wishes; an agent clamps them to its own bounds."""

    version: int
    collect_interval_seconds: int
    submit_interval_seconds: int
    plugin_interval_seconds: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class GoAway:
    """A request to hang up and to come back; the last message of a stream."""

    retry_after_seconds: int
    reason: str


@dataclass(frozen=True, slots=True)
class TrustChanged:
    """News of a trust document."""

    version: int


@dataclass(frozen=True, slots=True)
class VerdictsChanged:
    """News of verdicts."""


@dataclass(frozen=True, slots=True)
class Order:
    """Signed bytes that the device judges by itself; urgent ones overtake what waits."""

    envelope: Envelope
    urgent: bool = False


@dataclass(frozen=True, slots=True)
class Ended:
    """The device's identity ended: nothing more is sent."""


Message = CollectNow | AgentSettings | GoAway | TrustChanged | VerdictsChanged | Order


class Stream:
    """What waits for one connection; `wake` is set when there is something to do."""

    def __init__(self, device_id: str, listener: str = "") -> None:
        self.device_id = device_id
        self.listener = listener
        self.wake = asyncio.Event()
        self._waiting: deque[Message] = deque()
        self._urgent: deque[Message] = deque()
        self._last: GoAway | Ended | None = None

    def put(self, message: Message) -> bool:
        """Add a message; a connection that does not take them is ended instead.

        Returns:
            Whether the message waits to be sent.
        """
        if self._last is not None:
            return False
        # News says all when it is said once.
        if isinstance(message, VerdictsChanged) and message in self._waiting:
            return True
        if len(self._waiting) + len(self._urgent) >= _WAITING_MESSAGES:
            self.end(GoAway(1, "too many messages wait for this device"))
            return False
        lane = self._urgent if isinstance(message, Order) and message.urgent else self._waiting
        lane.append(message)
        self.wake.set()
        return True

    def end(self, last: GoAway | Ended) -> None:
        """Let the stream end with this message, in place of those that still wait."""
        if self._last is None or isinstance(last, Ended):
            self._waiting.clear()
            self._urgent.clear()
            self._last = last
        self.wake.set()

    def take(self) -> Message | Ended | None:
        """Remove and return the next message; None when nothing waits.

        After `GoAway` or `Ended` nothing comes any more.
        """
        self.wake.clear()
        if self._last is not None:
            return self._last
        if not self._waiting and not self._urgent:
            return None
        message = (self._urgent or self._waiting).popleft()
        if self._waiting or self._urgent:
            self.wake.set()
        return message


class Presence:
    """The streams that are open now, one for each device."""

    def __init__(self) -> None:
        self._streams: dict[str, Stream] = {}
        self._draining: GoAway | None = None

    def enter(self, device_id: str, listener: str = "") -> Stream:
        """Return a new stream over a listener; the former one of the device ends."""
        stream = Stream(device_id, listener)
        former = self._streams.pop(device_id, None)
        self._streams[device_id] = stream
        if former is not None:
            former.end(GoAway(_REPLACED_SECONDS, "a newer connection of this device took over"))
        if self._draining is not None:
            stream.end(self._draining)
        return stream

    def leave(self, stream: Stream) -> bool:
        """Forget a stream.

        Returns:
            Whether it was the device's newest, so that the device is away now.
        """
        if self._streams.get(stream.device_id) is not stream:
            return False
        del self._streams[stream.device_id]
        return True

    def connected(self, device_id: str) -> bool:
        """Return whether a device's stream is open."""
        return device_id in self._streams

    def connected_ids(self) -> frozenset[str]:
        """Return the devices whose streams are open."""
        return frozenset(self._streams)

    def listeners(self) -> dict[str, str]:
        """Return the listener of each open stream, by device id."""
        return {key: stream.listener for key, stream in self._streams.items()}

    def count(self) -> int:
        """Return how many streams are open."""
        return len(self._streams)

    def push(self, device_id: str, message: Message) -> bool:
        """Send a message down a device's stream.

        Returns:
            Whether there is a stream to take it.
        """
        stream = self._streams.get(device_id)
        return stream is not None and stream.put(message)

    def push_all(self, message: Message) -> int:
        """Send a message down every stream; return how many take it."""
        return sum(stream.put(message) for stream in list(self._streams.values()))

    def drain(self, *, retry_after_seconds: int, reason: str) -> None:
        """Ask everyone to go away, now and from now on; their agents come back with jitter."""
        self._draining = GoAway(retry_after_seconds, reason)
        for stream in list(self._streams.values()):
            stream.end(self._draining)
