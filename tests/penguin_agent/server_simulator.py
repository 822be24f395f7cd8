"""A server over real mTLS, in memory, that can be told to misbehave."""

from __future__ import annotations

import secrets
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta

import grpc

from penguindome import certs, keys
from penguindome.channels import server_options
from penguindome.csr import csr_spki
from penguindome.ids import new_device_id
from penguindome.names import Principal, to_uri
from penguindome.succession import lineage
from penguindome.times import utc_now
from penguindome.tokens import EnrollmentToken, encode_token
from penguindome.trust_document import document_hash
from penguindome.v1 import agent_pb2_grpc, bootstrap_pb2_grpc
from tests.penguin_agent.model_server import ModelServer
from tests.penguin_agent.simulated_services import AgentService, BootstrapService

DAY = timedelta(days=1)


class Authority:
    """A self-signed authority and what it issues."""

    def __init__(self, name: str) -> None:
        self.key = keys.generate_key()
        self.pem = certs.make_authority(
            name,
            key_pem=self.key,
            now=utc_now() - 400 * DAY,
            lifetime=4000 * DAY,
            path_length=None,
            client_auth_only=False,
        )

    def issue(self, spki, *, uri="", start=-DAY, end=14 * DAY):
        now = utc_now()
        return certs.issue(
            authority_pem=self.pem,
            authority_key_pem=self.key,
            spki=spki,
            uri=uri,
            ip_addresses=() if uri else ("127.0.0.1",),
            client=bool(uri),
            not_before=now + start,
            not_after=now + end,
        )

    def server_pair(self, **dates):
        key = keys.generate_key()
        return key, self.issue(keys.key_spki(key), **dates)


@dataclass
class Device:
    """What the simulator knows of one device."""

    device_id: str
    spki: bytes
    csr: bytes
    proofs: list = field(default_factory=list)
    hostname: str = ""
    hints: dict = field(default_factory=dict)
    pending_spki: bytes = b""
    certificates: dict = field(default_factory=dict)
    serials: list = field(default_factory=list)
    model: ModelServer = field(default_factory=ModelServer)
    streams: list = field(default_factory=list)
    checkins: list = field(default_factory=list)
    handed_out: list = field(default_factory=list)
    confirmed: list = field(default_factory=list)
    receipts: list = field(default_factory=list)
    output: dict = field(default_factory=dict)
    state: str = "active"
    approval: object = None


@dataclass
class Mischief:
    """How the simulator misbehaves; numbers count down."""

    approval_needed: bool = False
    certificate_start: timedelta = timedelta()
    certificate_end: timedelta = 14 * DAY
    lost_acknowledgements: int = 0
    lost_enrollments: int = 0
    need_full: int = 0
    hung_reports: int = 0
    refusals: list = field(default_factory=list)
    refuse_renewal: object = None
    old: bool = False
    time_offset: timedelta = timedelta()
    chain: list | None = None


class Simulator:
    """Both listeners on 127.0.0.1; use it with `with`."""

    agent_service = AgentService
    bootstrap_service = BootstrapService

    def __init__(self, fleet) -> None:
        self.fleet = fleet
        self.anchor = Authority("anchor")
        self.device_authority = Authority("devices")
        self.mischief = Mischief()
        self.devices: dict[str, Device] = {}
        self.secrets_seen: list[bytes] = []
        self.hanging: list[threading.Event] = []
        self.token_id, self.secret = secrets.token_bytes(8), secrets.token_bytes(32)
        document = fleet.document("alice", tls_anchors=(certs.pem_to_der(self.anchor.pem),))
        self.chain = [fleet.publish(document, "alice")]
        self.server_pair = self.anchor.server_pair()
        self._servers: list = []
        self._pool = ThreadPoolExecutor(32)
        self.main_port = self.bootstrap_port = 0

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self._pool.shutdown(wait=True)

    def start(self) -> None:
        """Listen, on the ports of the last time if there was one."""
        self.main_port = self._serve(self.main_port, clients=True)
        self.bootstrap_port = self._serve(self.bootstrap_port, clients=False)

    def hang(self, context) -> None:
        """Answer nothing until the caller is gone."""
        gone = threading.Event()
        self.hanging.append(gone)
        if context.add_callback(gone.set):
            gone.wait(20)

    def stop(self) -> None:
        for device in self.devices.values():
            for stream in device.streams:
                stream.put(None)
        for server in self._servers:
            server.stop(0.2).wait()
        self._servers = []

    def token(self, **changes) -> str:
        fields = {
            "anchor": certs.pem_to_der(self.anchor.pem),
            "fleet": self.fleet.id,
            "trust_hash": document_hash(self.chain[0].payload),
            "token_id": self.token_id,
            "secret": self.secret,
            "host": "127.0.0.1",
            "main_port": self.main_port,
            "bootstrap_port": self.bootstrap_port,
        }
        return encode_token(EnrollmentToken(**{**fields, **changes}))

    @property
    def device(self) -> Device:
        """Return the only device."""
        (device,) = self.devices.values()
        return device

    def push(self, **message) -> None:
        """Push a message to the only device's newest stream."""
        self.device.streams[-1].put(message)

    def now(self):
        return utc_now() + self.mischief.time_offset

    def lineage(self) -> list[bytes]:
        """Return the only device's keys by the proofs that it sent, the oldest first."""
        who = {"fleet": self.fleet.id, "device_id": self.device.device_id}
        held = lineage(self.device.spki, self.device.proofs, **who)
        return [one.spki for one in held]

    def certificate(self, device: Device, csr: bytes) -> bytes:
        """Issue, or return what was issued for the same request."""
        if csr not in device.certificates:
            uri = to_uri(Principal("device", self.fleet.id, device.device_id))
            mischief = self.mischief
            pem = self.device_authority.issue(
                csr_spki(csr),
                uri=uri,
                start=mischief.certificate_start - timedelta(minutes=5),
                end=mischief.certificate_end,
            )
            device.certificates[csr] = pem
            device.serials.append(certs.parse_certificate(pem).serial)
        return device.certificates[csr]

    def enrolled(self, request) -> Device:
        """Return the record of an application, the same one for the same request."""
        for device in self.devices.values():
            if device.csr == request.csr:
                return device
        state = "pending" if self.mischief.approval_needed else "active"
        device = Device(new_device_id(), csr_spki(request.csr), request.csr, state=state)
        device.hostname, device.hints = request.hostname, dict(request.hints)
        self.devices[device.device_id] = device
        return device

    def approve(self, *, fingerprint: str = "", by: str = "alice") -> None:
        device = self.device
        body = {
            "device_id": device.device_id,
            "fingerprint": fingerprint or keys.fingerprint(device.spki),
        }
        payload = self.fleet.order(device.device_id, "enroll", body=body)
        device.approval = self.fleet.sign("enroll", payload, by)
        device.state = "active"

    def _serve(self, port: int, *, clients: bool) -> int:
        server = grpc.server(self._pool, options=server_options(8 * 1024 * 1024))
        if clients:
            agent_pb2_grpc.add_AgentServiceServicer_to_server(self.agent_service(self), server)
            credentials = grpc.ssl_server_credentials(
                [self.server_pair], self.device_authority.pem, require_client_auth=True
            )
        else:
            service = self.bootstrap_service(self)
            bootstrap_pb2_grpc.add_BootstrapServiceServicer_to_server(service, server)
            credentials = grpc.ssl_server_credentials([self.server_pair])
        bound = server.add_secure_port(f"127.0.0.1:{port}", credentials)
        server.start()
        self._servers.append(server)
        return bound
