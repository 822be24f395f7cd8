"""Hold the one stream to the server open: check in, renew in time, come back after any loss.

The certificate's own dates decide about renewal, never a TLS error. Whatever ends a session leads
to the next attempt after a pause with full jitter, from 1 second to 5 minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.bootstrap import BootstrapClient
from penguin_agent.clock import boottime
from penguin_agent.connection import Connection, HungUp, SentAway, Welcomed
from penguin_agent.renewal import is_due, is_usable, seconds_until_due
from penguin_agent.trust_update import address_of, anchors_pem
from penguindome.errors import Damaged, Forbidden, PenguinDomeError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from penguin_agent.backoff import Backoff
    from penguin_agent.clock import DeviceClock
    from penguin_agent.connection import Hello, Push
    from penguin_agent.identities import Identities
    from penguin_agent.identity import Identity
    from penguin_agent.trust_store import TrustStore

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
        """Run one session; returns the pause before the next one."""
        identity = await self._identity()
        connection = Connection(identity, anchors_pem(identity.device, self._trust.newest()))
        reader = self._group.create_task(connection.read(self._hello()), name="check-in")
        try:
            await self._welcomed(connection)
            return await self._listen(connection, identity, boottime())
        finally:
            self.connected.clear()
            self.connection = None
            await connection.close()
            reader.cancel()
            await asyncio.wait({reader})

    async def _welcomed(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(WELCOME_SECONDS):
                first = await connection.pushes.get()
        except TimeoutError:
            raise Unavailable("the server did not answer the check-in", code="timeout") from None
        if isinstance(first, HungUp):
            raise first.error or Unavailable("the server hung up at once", code="hung-up")
        if not isinstance(first, Welcomed):
            raise Damaged("the server's first message is no welcome", code="protocol")
        self._clock.heard(first.server_time)
        self.trouble = ""
        self.connection = connection
        log.info("Connected to the server")
        await self._handle(first)
        self.connected.set()

    async def _listen(self, connection: Connection, identity: Identity, started: float) -> float:
        while True:
            try:
                async with asyncio.timeout(self._patience(identity)):
                    push = await connection.pushes.get()
            except TimeoutError:
                if self._may_renew(identity):
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
        return min(max(due, allowed, 1.0), LONGEST_WAIT_SECONDS)

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
            async with BootstrapClient(address_of(identity.device, self._trust.newest())) as client:
                self._clock.heard((await client.begin()).server_time)
        except PenguinDomeError as error:
            log.debug("The bootstrap listener does not answer either: {}", error)
