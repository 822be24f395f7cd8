"""A real mail server with STARTTLS, a login and a certificate, which can fail in many ways."""

import asyncio
import email
import email.policy
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

from tests.harness.ports import free_port
from tests.harness.site_certificate import SiteCertificate

USER, PASSWORD = "penguind", "räksmörgås 4711"
# What may go wrong with a connection or a mail, in the order in which it would.
FAILURES = (
    "refuse-connection",
    "drop-connection",
    "mail-451",
    "mail-550",
    "rcpt-450",
    "data-452",
    "drop-at-data",
    "drop-after-data",
)
FOR_GOOD = ("rcpt-550", "data-554")


@dataclass
class Received:
    """One mail that was taken, with its envelope."""

    sender: str
    recipients: list[str]
    raw: bytes
    encrypted: bool
    message: EmailMessage = field(init=False)

    def __post_init__(self) -> None:
        self.message = email.message_from_bytes(self.raw, policy=email.policy.SMTP)

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])

    @property
    def text(self) -> str:
        return self.message.get_content()


def works() -> str:
    """Fail at nothing."""
    return ""


class MailServer:
    """Takes mail in a thread of its own.

    Attributes:
        failing: asked at each connection and each mail how to fail; "" for not at all.
        received: every mail that was taken, in order; also those whose answer was lost.
        connections: how many connections there were.

    """

    def __init__(self, certificate: SiteCertificate, *, implicit_tls: bool = False) -> None:
        self.port = free_port()
        self.failing: Callable[[], str] = works
        self.received: list[Received] = []
        self.connections = 0
        self.plain = False
        self._implicit_tls = implicit_tls
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate.certificate, certificate.key)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mail-server")
        self._open: list[_Protocol] = []

    def start(self) -> None:
        """Listen."""
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)

    def stop(self) -> None:
        """Stop listening and cut every connection."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def cut(self) -> None:
        """Cut every connection."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for protocol in list(self._open):
            # One that ends just now has lost its TLS already.
            with suppress(AttributeError):
                protocol.transport.abort()

    async def _listen(self) -> None:
        context = self._context if self._implicit_tls else None
        self._server = await self._loop.create_server(
            lambda: _Protocol(self), "127.0.0.1", self.port, ssl=context
        )

    async def _end(self) -> None:
        self._server.close()
        self._cut()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def options(self) -> dict[str, Any]:
        """Return what the protocol needs."""
        # aiosmtpd sees no encryption that was there from the start, and offers no login then.
        if self.plain or self._implicit_tls:
            return {"loop": self._loop}
        return {
            "loop": self._loop,
            "tls_context": self._context,
            "require_starttls": True,
            "auth_required": True,
            "authenticator": _authenticate,
        }


class _Protocol(SMTP):
    def __init__(self, owner: MailServer) -> None:
        self._owner = owner
        super().__init__(_Handler(owner), **owner.options())

    def connection_made(self, transport: Any) -> None:
        if self not in self._owner._open:
            self._owner._open.append(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if self in self._owner._open:
            self._owner._open.remove(self)
        super().connection_lost(error)

    async def _handle_client(self) -> None:
        if self.session is not None and self.session.ssl is None:
            self._owner.connections += 1
            failure = self._owner.failing()
            if failure == "refuse-connection":
                await self.push("554 go away")
                self.transport.close()
                return
            if failure == "drop-connection":
                self.transport.abort()
                return
            if failure == "hang":
                await asyncio.sleep(3600)
        await super()._handle_client()


class _Handler:
    def __init__(self, owner: MailServer) -> None:
        self._owner = owner
        self._failure = ""

    async def handle_MAIL(  # noqa: N802 -- aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session
        self._failure = self._owner.failing()
        if self._failure.startswith("mail-"):
            return f"{self._failure[5:]} not now"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        if self._failure.startswith("rcpt-"):
            return f"{self._failure[5:]} nobody\x1b[31m here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802 -- aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self._failure.startswith("data-"):
            return f"{self._failure[5:]} no room"
        if self._failure == "drop-at-data":
            server.transport.abort()
            return "451 gone"
        content = envelope.content
        assert isinstance(content, bytes)
        self._owner.received.append(
            Received(
                str(envelope.mail_from), list(envelope.rcpt_tos), content, session.ssl is not None
            )
        )
        if self._failure == "drop-after-data":
            server.transport.abort()
        return "250 taken"


def _authenticate(
    server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
) -> AuthResult:
    del server, session, envelope, mechanism
    known = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
    return AuthResult(success=known, handled=known)


@contextmanager
def mail_server(certificate: SiteCertificate, **options: bool) -> Iterator[MailServer]:
    """Run a mail server until the block ends."""
    server = MailServer(certificate, **options)
    server.start()
    try:
        yield server
    finally:
        server.stop()
