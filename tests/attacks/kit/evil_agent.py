"""A device whose software is the attacker's: it says over raw stubs whatever it likes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguindome import certs, possession
from penguindome.v1 import agent_pb2, agent_pb2_grpc, bootstrap_pb2_grpc
from penguindome.v1 import bootstrap_pb2 as boot
from tests.attacks.kit.keys import Identity
from tests.attacks.kit.wire import SECONDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import grpc

    from penguindome.tokens import EnrollmentToken
    from tests.attacks.kit.wire import Wire


class EvilAgent:
    """A key, and what the server makes of it."""

    def __init__(self, wire: Wire, key: bytes | None = None) -> None:
        self.wire = wire
        self.key = key or certs.generate_key()
        self.device_id = ""
        self.certificate = b""
        self.bootstrap = bootstrap_pb2_grpc.BootstrapServiceStub(wire.bootstrap())

    @property
    def identity(self) -> Identity:
        return Identity(self.key, self.certificate, self.device_id)

    @property
    def uri(self) -> str:
        return certs.parse_certificate(self.certificate).uris[0]

    def nonce(self) -> bytes:
        return bytes(self.bootstrap.Begin(boot.BeginRequest(), timeout=SECONDS).nonce)

    def application(
        self,
        token: EnrollmentToken,
        *,
        csr: bytes | None = None,
        secret: bytes | None = None,
        hostname: str = "evil",
        hints: Mapping[str, bytes] | None = None,
    ) -> boot.EnrollRequest:
        """Return an application that this key signed."""
        request = boot.EnrollRequest(
            nonce=self.nonce(),
            token_id=token.token_id,
            token_secret=token.secret if secret is None else secret,
            csr=csr if csr is not None else certs.make_csr(self.key),
            hostname=hostname,
            hints=dict(hints or {}),
            agent_version="1",
            os_name="Evil",
        )
        signed = possession.enroll_bytes(
            request.nonce, request.token_id, request.csr, hostname, dict(hints or {})
        )
        request.signature = certs.sign(self.key, signed)
        return request

    def enroll(self, token: EnrollmentToken, **changes: object) -> boot.EnrollResponse:
        """Apply, and keep what comes of it."""
        request = self.application(token, **changes)  # type: ignore[arg-type]
        answer = self.bootstrap.Enroll(request, timeout=SECONDS)
        self.device_id, self.certificate = answer.device_id, answer.certificate
        return answer

    def renewal(
        self,
        *,
        nonce: bytes | None = None,
        signer: bytes | None = None,
        csr: bytes | None = None,
        device_id: str | None = None,
    ) -> boot.RenewDeviceRequest:
        """Return a request for a new certificate, signed by `signer` instead of this key."""
        nonce = self.nonce() if nonce is None else nonce
        csr = certs.make_csr(self.key) if csr is None else csr
        name = device_id or self.device_id
        signed = possession.renew_bytes(nonce, name, csr)
        return boot.RenewDeviceRequest(
            nonce=nonce,
            device_id=name,
            csr=csr,
            signature=certs.sign(signer or self.key, signed),
        )

    def renew(self, **changes: object) -> boot.RenewDeviceResponse:
        request = self.renewal(**changes)  # type: ignore[arg-type]
        answer = self.bootstrap.RenewDevice(request, timeout=SECONDS)
        self.certificate = answer.certificate
        return answer

    def stub(self, certificate: bytes | None = None) -> agent_pb2_grpc.AgentServiceStub:
        """Return the agents' service over a new channel, with this certificate or another."""
        who = Identity(self.key, certificate or self.certificate)
        return agent_pb2_grpc.AgentServiceStub(self.wire.main(who))

    def call(self, certificate: bytes | None = None) -> agent_pb2.ListVerdictsResponse:
        """Make a call that every device may make, over a new connection."""
        return verdicts(self.stub(certificate))


def verdicts(stub: agent_pb2_grpc.AgentServiceStub) -> agent_pb2.ListVerdictsResponse:
    """Make a call that every device may make."""
    return stub.ListVerdicts(agent_pb2.ListVerdictsRequest(), timeout=SECONDS)


def verdicts_by(channel: grpc.Channel) -> agent_pb2.ListVerdictsResponse:
    """Make the same call over a channel."""
    return verdicts(agent_pb2_grpc.AgentServiceStub(channel))
