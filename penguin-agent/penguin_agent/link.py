"""Hold the one stream to the server open: check in, renew in time, come back after any loss.

Each attempt tries the server's addresses in turn, until one lets us in.

The certificate's own dates decide about renewal, never a TLS error. Whatever ends a session leads
to the next attempt after a pause with full jitter, from 1 second to 5 minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.addresses import Addresses
from penguin_agent.clock import boottime
from penguin_agent.connection import Connection, HungUp, SentAway, Welcomed
from penguin_agent.moving import Moving
from penguin_agent.renewal import is_due, is_usable, seconds_until_due
from penguin_agent.trust_update import (
    anchors_pem,
    at_any,
    bootstrap_addresses,
    most_telling,
)
from penguindome.errors import Damaged, Forbidden, PenguinDomeError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penguin_agent.backoff import Backoff
    from penguin_agent.clock import DeviceClock
    from penguin_agent.connection import Hello, Push
    from penguin_agent.identities import Identities
    from penguin_agent.identity import Identity
    from penguin_agent.trust_store import TrustStore
    from penguindome.trust_document import ServerAddress

log = Logger(__name__)

WELCOME_SECONDS = 30.0
# A server that welcomes and hangs up at once is not well yet.
LIVED_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 24 * 3600.0
RENEWAL_PAUSE_SECONDS = 900.0
REFUSED_SECONDS = 300.0
ASK_TIME_EVERY = 3
# However long the server wishes a device away.
LONGEST_ABSENCE_SECONDS = 3600.0


class _NotWelcome(Exception):  # noqa: N818 -- never leaves this module
    """Why an address did not let us in: the next one may."""

    def __init__(self, reason: PenguinDomeError) -> None:
        super().__init__(str(reason))
        self.reason = reason


class Link:
    """One session after the other.

    Args:
        identities: who we are; renews.
        trust: whom we believe.
        clock: the device's clock and the server's.
        hello: makes what a check-in says.
        handle: is given every push, Welcomed first.
        backoff: the pauses.
        group: where the stream's reader runs.
    """

    def __init__(
        self,
        *,
        identities: Identities,
        trust: TrustStore,
        clock: DeviceClock,
        hello: Callable[[], Hello],
        handle: Callable[[Push], Awaitable[None]],
        backoff: Backoff,
        group: asyncio.TaskGroup,
    ) -> None:
        self._identities = identities
        self._trust = trust
        self._clock = clock
        self._hello = hello
        self._handle = handle
        self._backoff = backoff
        self._group = group
        self._addresses = Addresses(trust)
        self._moving = Moving(random.uniform)
        self._renew_wanted = False
        self._renew_not_before = 0.0
        self._patient = False
        self._woken = asyncio.Event()
        self.connection: Connection | None = None
        self.connected = asyncio.Event()
        self.trouble = ""

    async def run(self) -> None:
        """Keep connected for ever."""
        while True:
            self._patient = False
            self._woken.clear()
            try:
                pause = await self._session()
            except PenguinDomeError as error:
                pause = await self._pause_after(error)
            await self._rest(pause)

    def wake(self, *, asked: bool = False) -> None:
        """End the pause before the next attempt.

        Args:
            asked: somebody on this device wants it; otherwise the server's wish to be left alone
                and its refusal count for more.
        """
        if asked or not self._patient:
            self._backoff.reset()
            self._woken.set()

    def reconnect(self, *, renew: bool = False) -> None:
        """End the session, so that the next begins with a new channel.

        Args:
            renew: get a new certificate first, whatever the dates of the present one say.
        """
        self._renew_wanted = self._renew_wanted or renew
        if self.connection is not None:
            self.connection.hang_up()

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()

    async def _session(self) -> float:
        """Run one session at the first address that lets us in; returns the pause after it."""
        identity = await self._identity()
        errors: list[PenguinDomeError] = []
        for address in self._moving.ordered(self._addresses.candidates(identity.device)):
            anchors = anchors_pem(identity.device, self._trust.newest())
            connection = Connection(identity, address, anchors)
            reader = self._group.create_task(connection.read(self._hello()), name="check-in")
            try:
                deprecated = (await self._welcomed(connection)).deprecated
                self._addresses.worked(address)
                return await self._listen(connection, identity, address, deprecated=deprecated)
            except _NotWelcome as error:
                errors.append(error.reason)
            finally:
                self.connected.clear()
                self.connection = None
                await connection.close()
                reader.cancel()
                await asyncio.wait({reader})
        raise most_telling(errors)

    async def _welcomed(self, connection: Connection) -> Welcomed:
        try:
            async with asyncio.timeout(WELCOME_SECONDS):
                first = await connection.pushes.get()
        except TimeoutError:
            late = Unavailable("the server did not answer the check-in", code="timeout")
            raise _NotWelcome(late) from None
        if isinstance(first, HungUp):
            raise _NotWelcome(first.error or Unavailable("the server hung up", code="hung-up"))
        if not isinstance(first, Welcomed):
            raise _NotWelcome(Damaged("the server's first message is no welcome", code="protocol"))
        self._clock.heard(first.server_time)
        self.trouble = ""
        self.connection = connection
        log.info("Connected to the server")
        await self._handle(first)
        self.connected.set()
        return first

    async def _listen(
        self,
        connection: Connection,
        identity: Identity,
        address: ServerAddress,
        *,
        deprecated: bool,
    ) -> float:
        started = boottime()
        while True:
            self._moving.stay(
                address, self._addresses.candidates(identity.device), deprecated=deprecated
            )
            try:
                async with asyncio.timeout(self._patience(identity)):
                    push = await connection.pushes.get()
            except TimeoutError:
                if self._may_renew(identity) or self._moving.is_time():
                    return 0.0
                continue
            if boottime() - started > LIVED_SECONDS:
                self._backoff.reset()
            if isinstance(push, HungUp):
                if push.error is not None:
                    raise push.error
                return 0.0 if self._renew_wanted else self._backoff.next_seconds()
            if isinstance(push, SentAway):
                log.info("Sent away for {}: {}", push.retry_after, push.reason)
                self._patient = True
                away = min(push.retry_after.total_seconds(), LONGEST_ABSENCE_SECONDS)
                return away + self._backoff.next_seconds()
            await self._handle(push)

    def _patience(self, identity: Identity) -> float:
        """Return how long to listen before looking at the certificate's dates again."""
        due = seconds_until_due(identity.facts, self._clock.best())
        allowed = self._renew_not_before - boottime()
        return min(max(due, allowed, 1.0), self._moving.seconds(), LONGEST_WAIT_SECONDS)

    def _may_renew(self, identity: Identity) -> bool:
        due = self._renew_wanted or is_due(identity.facts, self._clock.best())
        return due and boottime() >= self._renew_not_before

    async def _identity(self) -> Identity:
        """Return the identity, renewed if it is due; the old one while it still serves."""
        identity = await self._identities.load()
        if identity is None:
            raise Damaged("the identity is gone", remedy="Run penguin-agent enroll")
        if not self._may_renew(identity):
            return identity
        self._renew_not_before = boottime() + RENEWAL_PAUSE_SECONDS
        try:
            renewed = await self._identities.renew()
        except PenguinDomeError as error:
            if not is_usable(identity.facts, self._clock.best()):
                self._renew_not_before = 0.0
                raise
            log.warning("The certificate could not be renewed yet: {}", error)
            return identity
        self._renew_wanted = False
        if renewed is None:
            raise Forbidden(
                "this device was away for so long that an operator must approve it again",
                code="approval-needed",
            )
        log.info("The certificate is renewed until {}", renewed.facts.not_after)
        return renewed

    async def _pause_after(self, error: PenguinDomeError) -> float:
        if str(error) != self.trouble:
            log.warning("No connection to the server: {}", error)
        self.trouble = str(error)
        pause = self._backoff.next_seconds()
        if error.code == "server-certificate-dates":
            self._clock.doubt()
        if isinstance(error, Unauthenticated):
            self._renew_wanted = True
        elif isinstance(error, Forbidden):
            pause = max(pause, REFUSED_SECONDS)
            self._patient = True
        elif self._backoff.failures % ASK_TIME_EVERY == 0:
            await self._ask_time()
        return max(pause, min(float(error.retry_after_seconds), LONGEST_ABSENCE_SECONDS))

    async def _ask_time(self) -> None:
        """Hear the server's clock where no certificate of ours is needed: ours may be out."""
        identity = await self._identities.load()
        if identity is None:
            return
        try:
            addresses = bootstrap_addresses(identity.device, self._trust)
            nonce = await at_any(addresses, lambda client: client.begin())
            self._clock.heard(nonce.server_time)
        except PenguinDomeError as error:
            log.debug("The bootstrap listener does not answer either: {}", error)
