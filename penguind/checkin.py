"""Greet devices that open their stream, and note that they are there."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from penguind.presence import AgentSettings, Ended, Presence, Stream
from penguind.workers import keep_on
from penguindome.errors import Unavailable
from penguindome.names import clean_hostname

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
    from datetime import datetime

    from penguind.admission import Admission
    from penguind.store.states import StateStore

# As many check-ins as this wait for the database at a time; the others of a herd wait here.
_PARALLEL = 32
_NOTE_SECONDS = 60.0
_KNOWN_HOSTNAMES = 100_000
_WORD_CHARACTERS = 64
_WORDS = 16
# The largest number that the database holds.
LARGEST_RELEASE = 2**63 - 1
# A clock that is further off is as wrong as it can be.
_LARGEST_SKEW = timedelta(days=36_500)


@dataclass(frozen=True, slots=True)
class Hello:
    """What a device says when it opens its stream."""

    hostname: str
    agent_version: str
    device_time: datetime
    spool_depth: int
    ratchet: bytes = b""
    release: int = 0
    denied: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Greeting:
    """What it hears first."""

    server_time: datetime
    state_hash: bytes
    submit_after_seconds: int
    settings: AgentSettings
    trust_version: int
    ratchet: bytes
    deprecated_listener: bool


class SeenStore(Protocol):
    """What is needed of the devices' store."""

    async def seen(self, device_id: str, now: datetime, **facts: str | int | Sequence[str]) -> None:
        """Record a sign of life, with facts about the device."""

    async def seen_many(self, device_ids: Sequence[str], now: datetime) -> None:
        """Record a sign of life of several devices."""


class Ratchets(Protocol):
    """What tells one holder of a device's key from two."""

    async def check_in(self, device_id: str, presented: bytes, address: str) -> bytes:
        """Return the value to hand out, or raise Forbidden: there are two holders."""

    async def confirm(self, device_id: str, value: bytes) -> None:
        """Note that a value is on the device's disk."""


class CheckIns:
    """Opens and closes devices' streams.

    Args:
        presence: where open streams are found.
        admission: when each device shall hand in its backlog.
        states: what devices last reported.
        devices: where last-seen times go.
        ratchets: tell two holders of one key from one.
        hostname: looks up the hostname of a device that has not checked in here.
        settings: the present wishes of the server.
        trust_version: the newest version of the trust document, 0 if there is none.
        deprecated: names of the listeners that go away.
        clock: tells the time.
        note_seconds: how often last-seen times of open streams are noted.
    """

    def __init__(
        self,
        *,
        presence: Presence,
        admission: Admission,
        states: StateStore,
        devices: SeenStore,
        ratchets: Ratchets,
        hostname: Callable[[str], Awaitable[str]],
        settings: Callable[[], AgentSettings],
        trust_version: Callable[[], Awaitable[int]],
        clock: Callable[[], datetime],
        deprecated: Collection[str] = (),
        note_seconds: float = _NOTE_SECONDS,
    ) -> None:
        self._presence = presence
        self._admission = admission
        self._states = states
        self._devices = devices
        self._ratchets = ratchets
        self._look_up = hostname
        self._settings = settings
        self._trust_version = trust_version
        self._clock = clock
        self._deprecated = deprecated
        self._note_seconds = note_seconds
        self._turns = asyncio.Semaphore(_PARALLEL)
        self._hostnames: OrderedDict[str, str] = OrderedDict()
        self._left: set[str] = set()
        self._watchers: asyncio.TaskGroup | None = None

    async def admit(self, device_id: str, hello: Hello, peer: str) -> bytes:
        """Return the value for a device that may come in; nobody else may push its stream aside.

        Raises:
            Forbidden: two machines use the device's identity.
            Unavailable: the database is away, or a newer connection came in meanwhile.
        """
        return await self._ratchets.check_in(device_id, hello.ratchet, peer)

    async def greet(self, stream: Stream, hello: Hello, peer: str, ratchet: bytes) -> Greeting:
        """Note who came, and return what to tell them.

        Raises:
            Unavailable: the database is away.
        """
        device_id = stream.device_id
        now = self._clock()
        hostname = clean_hostname(hello.hostname)
        skew = max(min(hello.device_time - now, _LARGEST_SKEW), -_LARGEST_SKEW)
        async with self._turns:
            await self._devices.seen(
                device_id,
                now,
                hostname=hostname,
                agent_version=_word(hello.agent_version),
                peer_address=peer,
                clock_skew_ms=round(skew / timedelta(milliseconds=1)),
                listener=stream.listener,
                release=min(hello.release, LARGEST_RELEASE),
                denied=_words(hello.denied),
            )
            self._remember(device_id, hostname)
            return Greeting(
                server_time=self._clock(),
                state_hash=await self._states.state_hash(device_id),
                submit_after_seconds=self._admission.wait_seconds(
                    backlog=hello.spool_depth, now=now
                ),
                settings=self._settings(),
                trust_version=await self._trust_version(),
                ratchet=ratchet,
                deprecated_listener=stream.listener in self._deprecated,
            )

    async def confirm(self, device_id: str, ratchet: bytes) -> None:
        """Note that a device keeps the value of its last greeting.

        Raises:
            InvalidInput: it is no such value.
            Unavailable: the database is away.
        """
        await self._ratchets.confirm(device_id, ratchet)

    @contextmanager
    def stream(self, device_id: str, ended: asyncio.Event, listener: str = "") -> Iterator[Stream]:
        """Open a stream that ends when `ended` is set; `run` must be running."""
        if self._watchers is None:
            raise Unavailable("the server stops", retry_after_seconds=1)
        stream = self._presence.enter(device_id, listener)
        watcher = self._watchers.create_task(_end_when(ended, stream), name=f"watch {device_id}")
        try:
            yield stream
        finally:
            watcher.cancel()
            if self._presence.leave(stream):
                self._left.add(device_id)

    async def hostname(self, device_id: str) -> str:
        """Return what a device calls itself, as it last said here."""
        known = self._hostnames.get(device_id)
        if known is None:
            known = await self._look_up(device_id)
            self._remember(device_id, known)
        return known

    async def run(self) -> None:
        """Keep last-seen times of open streams young, until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._watchers = group
                await keep_on("noting who is there", self._note_presence)
        finally:
            self._watchers = None

    async def _note_presence(self) -> None:
        await asyncio.sleep(self._note_seconds)
        device_ids = self._presence.connected_ids() | self._left
        if device_ids:
            await self._devices.seen_many(sorted(device_ids), self._clock())
            self._left.difference_update(device_ids)

    def _remember(self, device_id: str, hostname: str) -> None:
        self._hostnames[device_id] = hostname
        self._hostnames.move_to_end(device_id)
        if len(self._hostnames) > _KNOWN_HOSTNAMES:
            self._hostnames.popitem(last=False)


async def _end_when(ended: asyncio.Event, stream: Stream) -> None:
    await ended.wait()
    stream.end(Ended())


def _words(texts: Sequence[str]) -> list[str]:
    """Return the first few words of a list that a device sent, sorted."""
    return sorted({_word(one) for one in texts[:_WORDS]} - {""})


def _word(text: str) -> str:
    """Return at most 64 visible ASCII characters of a text that a device sent."""
    return "".join(letter for letter in text if "!" <= letter <= "~")[:_WORD_CHARACTERS]
