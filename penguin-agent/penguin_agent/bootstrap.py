"""Speak to the bootstrap listener: get an identity, renew it, fetch the trust document's chain.

Every connection is verified against known anchors from its first byte; the server proves itself
before anything secret is sent.

Trust: answers come from a server that holds a valid certificate; it may still be owned by an
attacker. Trust documents authenticate themselves, a certificate is held against our own key.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any, Self

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

from penguindome.channels import aio_channel
from penguindome.envelope import Envelope
from penguindome.error_wire import from_rpc_error
from penguindome.errors import InternalError
from penguindome.possession import enroll_bytes, poll_bytes, renew_bytes
from penguindome.times import from_unix_ms
from penguindome.v1 import bootstrap_pb2, bootstrap_pb2_grpc, succession_pb2

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from penguindome.succession import SealedSuccession

    Signer = Callable[[bytes], bytes]

MESSAGE_BYTES = 64 * 1024
# The chain of trust documents is the one thing that may be longer.
ANSWER_BYTES = 4 * 1024 * 1024
CALL_SECONDS = 20.0
_MIN_POLL = timedelta(seconds=1)
_MAX_POLL = timedelta(hours=1)
_DEFAULT_POLL = timedelta(seconds=30)


class Standing(Enum):
    """Where an applicant stands."""

    PENDING = 1
    ACTIVE = 2
    REJECTED = 3


@dataclass(frozen=True, slots=True)
class Address:
    """Where the bootstrap listener is, and who vouches for it."""

    host: str
    port: int
    anchors_pem: bytes


@dataclass(frozen=True, slots=True)
class Nonce:
    """What Begin answered."""

    value: bytes
    server_time: datetime
    trust_version: int


@dataclass(frozen=True, slots=True)
class Application:
    """What a device says of itself when it applies."""

    token_id: bytes
    secret: bytes
    csr: bytes
    hostname: str
    hints: Mapping[str, bytes]
    agent_version: str
    os_name: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of an application or a renewal.

    certificate: PEM, only when active. device_id: only from an application.
    approval: the operator's signed approval, if there was one.
    """

    standing: Standing
    device_id: str = ""
    certificate: bytes = b""
    poll_after: timedelta = _DEFAULT_POLL
    approval: Envelope | None = None


class BootstrapClient:
    """A connection to the bootstrap listener; use it with `async with`."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._channel: Any = None
        self._stub: Any = None

    async def __aenter__(self) -> Self:
        """Open the channel; the connection is made by the first call."""
        address = self._address
        self._channel = aio_channel(
            address.host,
            address.port,
            anchors_pem=address.anchors_pem,
            max_message_bytes=ANSWER_BYTES,
        )
        self._stub = bootstrap_pb2_grpc.BootstrapServiceStub(self._channel)  # type: ignore[no-untyped-call] # generated
        return self

    async def __aexit__(self, *_ignored: object) -> None:
        """Close the channel."""
        await self._channel.close()

    async def _call(self, method: Callable[..., Awaitable[Any]], request: Any) -> Any:
        try:
            return await method(request, timeout=CALL_SECONDS)
        except grpc.RpcError as error:
            ours = from_rpc_error(error)
            ours.subject = ours.subject or f"{self._address.host}:{self._address.port}"
            raise ours from None

    async def begin(self) -> Nonce:
        """Get a nonce, and the server's clock."""
        answer = await self._call(self._stub.Begin, bootstrap_pb2.BeginRequest())
        return Nonce(answer.nonce, from_unix_ms(answer.server_time_unix_ms), answer.trust_version)

    async def trust_chain(self, after_version: int) -> list[Envelope]:
        """Return the trust documents after a version, oldest first, not verified yet."""
        request = bootstrap_pb2.GetTrustChainRequest(after_version=after_version)
        answer = await self._call(self._stub.GetTrustChain, request)
        return [_envelope(document.envelope) for document in answer.documents]

    async def enroll(self, application: Application, sign: Signer) -> Answer:
        """Redeem a token; `sign` signs with the key of the request."""
        nonce = await self.begin()
        proof = enroll_bytes(
            nonce.value,
            application.token_id,
            application.csr,
            application.hostname,
            application.hints,
        )
        request = bootstrap_pb2.EnrollRequest(
            nonce=nonce.value,
            token_id=application.token_id,
            token_secret=application.secret,
            csr=application.csr,
            hostname=application.hostname,
            hints=dict(application.hints),
            agent_version=application.agent_version,
            os_name=application.os_name,
            signature=sign(proof),
        )
        answer = await self._call(self._stub.Enroll, request)
        return Answer(
            _standing(answer.state),
            device_id=answer.device_id,
            certificate=answer.certificate,
            poll_after=_poll_after(answer.poll_after_seconds),
        )

    async def poll(self, device_id: str, sign: Signer) -> Answer:
        """Ask whether an operator approved; `sign` signs with the applicant's key."""
        nonce = await self.begin()
        request = bootstrap_pb2.PollEnrollmentRequest(
            nonce=nonce.value,
            device_id=device_id,
            signature=sign(poll_bytes(nonce.value, device_id)),
        )
        answer = await self._call(self._stub.PollEnrollment, request)
        approval = _envelope(answer.approval) if answer.HasField("approval") else None
        return Answer(
            _standing(answer.state),
            device_id=device_id,
            certificate=answer.certificate,
            poll_after=_poll_after(answer.poll_after_seconds),
            approval=approval,
        )

    async def renew(
        self, device_id: str, csr: bytes, sign: Signer, proofs: Sequence[SealedSuccession] = ()
    ) -> Answer:
        """Get a fresh certificate; `sign` signs with the key that the server has on record.

        `proofs` lead from earlier keys to the request's, the oldest first.
        """
        nonce = await self.begin()
        request = bootstrap_pb2.RenewDeviceRequest(
            nonce=nonce.value,
            device_id=device_id,
            csr=csr,
            signature=sign(renew_bytes(nonce.value, device_id, csr)),
            successions=map(_succession, proofs),
        )
        answer = await self._call(self._stub.RenewDevice, request)
        return Answer(
            _standing(answer.state),
            device_id=device_id,
            certificate=answer.certificate,
            poll_after=_poll_after(answer.poll_after_seconds),
        )


def _succession(proof: SealedSuccession) -> succession_pb2.KeySuccession:
    return succession_pb2.KeySuccession(
        payload=proof.payload,
        former_signature=proof.former_signature,
        following_signature=proof.following_signature,
    )


def _standing(state: int) -> Standing:
    try:
        return Standing(state)
    except ValueError:
        raise InternalError(f"the server answered with an unknown state ({state})") from None


def _poll_after(seconds: int) -> timedelta:
    if not seconds:
        return _DEFAULT_POLL
    return min(max(timedelta(seconds=seconds), _MIN_POLL), _MAX_POLL)


def _envelope(message: Any) -> Envelope:
    return Envelope(message.kind, message.payload, tuple(message.signatures))
