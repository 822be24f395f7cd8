"""A whole server in this process: real TLS, real MongoDB, a clock that can be moved."""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

from penguind.access import ROLES
from penguind.config import load_settings
from penguind.console import make_line
from penguind.domain.token import Token
from penguind.services.convert_device import succession_message
from penguind.setup.file import Answers
from penguind.setup.steps import make_server
from penguind.store.all import open_stores
from penguind.wiring import build
from penguind.workers import end_all
from penguindome import certs, possession
from penguindome.channels import aio_channel
from penguindome.error_wire import from_rpc_error
from penguindome.tokens import decode_invitation, hash_secret
from penguindome.v1 import agent_pb2_grpc, bootstrap_pb2_grpc, device_pb2_grpc
from penguindome.v1 import bootstrap_pb2 as boot
from tests.harness.database import fresh_database
from tests.harness.ports import free_port

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class MovingClock:
    """The real time plus an offset, since TLS libraries know only the real time."""

    def __init__(self) -> None:
        self.offset = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.offset

    def move(self, **span: float) -> None:
        self.offset += timedelta(**span)


@dataclass
class Identity:
    """A key and its certificate, both PEM; a device knows its id."""

    key: bytes
    certificate: bytes
    name: str = ""

    @property
    def csr(self) -> bytes:
        return certs.make_csr(self.key)


class Running:
    """A server that serves, and clients for it."""

    def __init__(self, settings, database, stores, application, clock):
        self.settings = settings
        self.database = database
        self.stores = stores
        self.application = application
        self.clock = clock
        self.anchor = (settings.server.state_dir / "authority/anchor.pem").read_bytes()
        self._channels = []
        self.bootstrap = bootstrap_pb2_grpc.BootstrapServiceStub(self.channel(bootstrap=True))

    def channel(self, who: Identity | None = None, *, bootstrap: bool = False, listener: str = ""):
        """Return a channel with a certificate or none, to either listener, or to one by name."""
        name = listener or ("bootstrap" if bootstrap else "main")
        there = next(one for one in self.settings.listeners if one.name == name)
        channel = aio_channel(
            there.address,
            there.port,
            anchors_pem=self.anchor,
            key_pem=who.key if who else None,
            cert_pem=who.certificate if who else None,
        )
        self._channels.append(channel)
        return channel

    def devices(self, who: Identity):
        return device_pb2_grpc.DeviceServiceStub(self.channel(who))

    def agent(self, who: Identity):
        return agent_pb2_grpc.AgentServiceStub(self.channel(who))

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()

    async def operator(self, name: str = "alice", roles=ROLES) -> Identity:
        """Invite and redeem."""
        line = await make_line(
            self.settings,
            self.stores,
            name,
            roles=roles,
            ttl=timedelta(days=1),
            clock=self.clock,
        )
        invitation = decode_invitation(line)
        key = certs.generate_key()
        answer = await self.bootstrap.RedeemInvitation(
            boot.RedeemInvitationRequest(
                invitation_id=invitation.invitation_id,
                invitation_secret=invitation.secret,
                csr=certs.make_csr(key),
            )
        )
        return Identity(key, answer.certificate, name)

    async def token(self, **facts) -> tuple[bytes, bytes]:
        """Store a token; return its id and secret."""
        token_id, secret = os.urandom(8), os.urandom(32)
        now = self.clock()
        values = {
            "max_uses": 100,
            "uses": 0,
            "created_time": now,
            "expires_time": now + timedelta(days=2),
            "created_by": "alice",
        }
        token = Token(
            token_id=token_id.hex(), secret_hash=hash_secret(secret), **{**values, **facts}
        )
        await self.stores.tokens.insert(token)
        return token_id, secret

    async def application_for(self, token, key: bytes, **changes) -> boot.EnrollRequest:
        """Return a correctly signed application; `changes` come before the signature."""
        request = boot.EnrollRequest(
            nonce=(await self.bootstrap.Begin(boot.BeginRequest())).nonce,
            token_id=token[0],
            token_secret=token[1],
            csr=certs.make_csr(key),
            hostname="web-1",
            agent_version="1",
            os_name="Debian",
        )
        for name, value in changes.items():
            if name == "hints":
                request.hints.update(value)
            else:
                setattr(request, name, value)
        signed = possession.enroll_bytes(
            request.nonce, request.token_id, request.csr, request.hostname, dict(request.hints)
        )
        request.signature = certs.sign(key, signed)
        return request

    async def enroll(self, token=None, key: bytes | None = None, **changes):
        """Enroll; return the identity and the answer."""
        token = token or await self.token()
        key = key or certs.generate_key()
        answer = await self.bootstrap.Enroll(await self.application_for(token, key, **changes))
        return Identity(key, answer.certificate, answer.device_id), answer

    async def renew(self, device: Identity, *, signer: bytes | None = None, key=None, proofs=()):
        """Renew by the recorded key, for the same key or another one, with proofs of its keys."""
        nonce = (await self.bootstrap.Begin(boot.BeginRequest())).nonce
        csr = certs.make_csr(key or device.key)
        signed = possession.renew_bytes(nonce, device.name, csr)
        request = boot.RenewDeviceRequest(
            nonce=nonce,
            device_id=device.name,
            csr=csr,
            signature=certs.sign(signer or device.key, signed),
            successions=map(succession_message, proofs),
        )
        answer = await self.bootstrap.RenewDevice(request)
        return Identity(key or device.key, answer.certificate, device.name), answer

    async def poll(self, device: Identity):
        nonce = (await self.bootstrap.Begin(boot.BeginRequest())).nonce
        signature = certs.sign(device.key, possession.poll_bytes(nonce, device.name))
        return await self.bootstrap.PollEnrollment(
            boot.PollEnrollmentRequest(nonce=nonce, device_id=device.name, signature=signature)
        )


@asynccontextmanager
async def running(
    uri: str, settings_text: str = "", prepare: Callable[[Path, MovingClock], object] | None = None
) -> AsyncIterator[Running]:
    """Set a server up and serve it in this process until the block ends.

    Args:
        uri: a MongoDB.
        settings_text: TOML to append to the settings.
        prepare: changes the settings file, or what is beside it, before the start.

    """
    folder = _folder()
    clock = MovingClock()
    try:
        answers = Answers(
            state_dir=folder / "state",
            user="nobody",
            advertised_host="127.0.0.1",
            address="127.0.0.1",
            main_port=free_port(),
            bootstrap_port=free_port(),
        )
        path = folder / "penguind.toml"
        make_server(path, answers, clock, lambda _: None)
        path.write_text(path.read_text() + settings_text)
        if prepare is not None:
            prepare(path, clock)
        settings = load_settings(path)
        async with fresh_database(uri) as database:
            stores = await open_stores(database, settings.server.fleet_id)
            application = await build(settings, database, clock)
            async with _serving(application):
                server = Running(settings, database, stores, application, clock)
                try:
                    yield server
                finally:
                    await server.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _folder() -> Path:
    """Make a folder that the service's user gets through, with a short name."""
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    folder.chmod(0o711)
    return folder


@asynccontextmanager
async def _serving(application) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        workers = [tasks.create_task(worker()) for worker in application.workers.values()]
        for server in application.servers:
            await server.start()
        await application.health.start()
        try:
            yield
        finally:
            application.presence.drain(retry_after_seconds=1, reason="the test ends")
            for server in application.servers:
                await server.stop(0.2)
            await end_all(workers)


async def refusal(call):
    """Await a call that must fail; return our error."""
    try:
        await call
    except grpc.RpcError as error:
        return from_rpc_error(error)
    raise AssertionError("the call was not refused")
