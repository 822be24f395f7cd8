"""The two services of the simulator: what they answer, and how they lie."""

from __future__ import annotations

import queue
import secrets

from penguindome import certs, keys
from penguindome.csr import csr_spki
from penguindome.error_wire import to_status
from penguindome.errors import (
    Forbidden,
    NotSupported,
    PenguinDomeError,
    Unauthenticated,
    Unavailable,
)
from penguindome.names import parse_uri
from penguindome.orders.receipts import SealedReceipt, open_receipt
from penguindome.possession import enroll_bytes, poll_bytes, renew_bytes
from penguindome.report_wire import report_from_message
from penguindome.succession import SealedSuccession
from penguindome.times import to_unix_ms
from penguindome.trust_document import from_payload
from penguindome.v1 import agent_pb2, bootstrap_pb2, envelope_pb2
from penguindome.v1.agent_pb2_grpc import AgentServiceServicer
from penguindome.v1.bootstrap_pb2_grpc import BootstrapServiceServicer

STATES = {"pending": 1, "active": 2, "rejected": 3}


def refuse(context, error: PenguinDomeError) -> None:
    code, message, trailing = to_status(error)
    context.set_trailing_metadata(trailing)
    context.abort(code, message)


def wire(envelope):
    return envelope_pb2.Envelope(
        kind=envelope.kind, payload=envelope.payload, signatures=envelope.signatures
    )


class BootstrapService(BootstrapServiceServicer):
    def __init__(self, simulator) -> None:
        self.simulator = simulator
        self.nonces: set[bytes] = set()

    def Begin(self, request, context):  # noqa: N802
        nonce = secrets.token_bytes(32)
        self.nonces.add(nonce)
        return bootstrap_pb2.BeginResponse(
            nonce=nonce, server_time_unix_ms=to_unix_ms(self.simulator.now()), trust_version=1
        )

    def GetTrustChain(self, request, context):  # noqa: N802
        chain = self.simulator.mischief.chain
        documents = [
            envelope_pb2.TrustDocument(version=from_payload(e.payload).version, envelope=wire(e))
            for e in (self.simulator.chain if chain is None else chain)
        ]
        newer = [d for d in documents if d.version > request.after_version]
        return bootstrap_pb2.GetTrustChainResponse(documents=newer)

    def Enroll(self, request, context):  # noqa: N802
        simulator = self.simulator
        simulator.secrets_seen.append(request.token_secret)
        proof = enroll_bytes(
            request.nonce, request.token_id, request.csr, request.hostname, request.hints
        )
        self._prove(context, request, csr_spki(request.csr), proof)
        if request.token_secret != simulator.secret:
            refuse(context, Forbidden("the token is wrong", code="token-wrong"))
        device = simulator.enrolled(request)
        active = device.state == "active"
        certificate = simulator.certificate(device, request.csr) if active else b""
        if simulator.mischief.lost_enrollments:
            simulator.mischief.lost_enrollments -= 1
            refuse(context, Unavailable("the answer is lost"))
        return bootstrap_pb2.EnrollResponse(
            state=STATES[device.state],
            device_id=device.device_id,
            certificate=certificate,
            poll_after_seconds=1,
        )

    def PollEnrollment(self, request, context):  # noqa: N802
        device = self.simulator.devices[request.device_id]
        self._prove(context, request, device.spki, poll_bytes(request.nonce, device.device_id))
        answer = bootstrap_pb2.PollEnrollmentResponse(
            state=STATES[device.state], poll_after_seconds=1
        )
        if device.state == "active":
            answer.certificate = self.simulator.certificate(device, device.csr)
            if device.approval is not None:
                answer.approval.CopyFrom(wire(device.approval))
        return answer

    def RenewDevice(self, request, context):  # noqa: N802
        device = self.simulator.devices[request.device_id]
        if self.simulator.mischief.refuse_renewal is not None:
            refuse(context, self.simulator.mischief.refuse_renewal)
        proof = renew_bytes(request.nonce, device.device_id, request.csr)
        known = {device.spki, device.pending_spki} - {b""}
        if not any(keys.verify(spki, proof, request.signature) for spki in known):
            refuse(context, Unauthenticated("another key", code="proof-wrong"))
        self._use(context, request.nonce)
        device.pending_spki = csr_spki(request.csr)
        device.proofs += [
            SealedSuccession(one.payload, one.former_signature, one.following_signature)
            for one in request.successions
        ]
        return bootstrap_pb2.RenewDeviceResponse(
            state=2, certificate=self.simulator.certificate(device, request.csr)
        )

    def _prove(self, context, request, spki, proof) -> None:
        self._use(context, request.nonce)
        if not keys.verify(spki, proof, request.signature):
            refuse(context, Unauthenticated("the proof is wrong", code="proof-wrong"))

    def _use(self, context, nonce: bytes) -> None:
        if nonce not in self.nonces:
            refuse(context, Unauthenticated("the nonce is unknown", code="nonce"))
        self.nonces.discard(nonce)


class AgentService(AgentServiceServicer):
    def __init__(self, simulator) -> None:
        self.simulator = simulator

    def CheckIn(self, request, context):  # noqa: N802
        device = self._device(context)
        stream: queue.Queue = queue.Queue()
        device.streams.append(stream)
        device.checkins.append(request)
        device.handed_out.append(secrets.token_bytes(16))
        context.add_callback(lambda: stream.put(None))
        yield agent_pb2.CheckInResponse(
            welcome=agent_pb2.Welcome(
                server_time_unix_ms=to_unix_ms(self.simulator.now()),
                state_hash=device.model.hash(),
                trust_version=len(self.simulator.chain),
                ratchet=device.handed_out[-1],
            )
        )
        while (message := stream.get(timeout=600)) is not None:
            if isinstance(message, PenguinDomeError):
                refuse(context, message)
            yield agent_pb2.CheckInResponse(**message)

    def ConfirmCheckIn(self, request, context):  # noqa: N802
        self._device(context).confirmed.append(request.ratchet)
        if self.simulator.mischief.old:
            refuse(context, NotSupported("an old server"))
        return agent_pb2.ConfirmCheckInResponse()

    def SubmitReport(self, request, context):  # noqa: N802
        device, mischief = self._device(context), self.simulator.mischief
        if mischief.refusals:
            refuse(context, mischief.refusals.pop(0))
        if mischief.hung_reports:
            mischief.hung_reports -= 1
            self.simulator.hang(context)
        if mischief.need_full:
            mischief.need_full -= 1
            device.model.forget()
        try:
            stored, state = device.model.submit(report_from_message(request))
        except PenguinDomeError as error:
            refuse(context, error)
        if mischief.lost_acknowledgements:
            mischief.lost_acknowledgements -= 1
            refuse(context, Unavailable("the acknowledgement is lost"))
        return agent_pb2.SubmitReportResponse(stored=stored, state_hash=state)

    def ListVerdicts(self, request, context):  # noqa: N802
        self._device(context)
        now = self.simulator.now()
        verdict = agent_pb2.DeviceVerdict(
            check="firewall-disabled",
            severity="high",
            opened_unix_ms=to_unix_ms(now),
            summary="No firewall",
            remedy="Turn it on\x1b[31m",
        )
        return agent_pb2.ListVerdictsResponse(verdicts=[verdict], audited_unix_ms=to_unix_ms(now))

    def SubmitOrderUpdates(self, request, context):  # noqa: N802
        device = self._device(context)
        who = {"fleet": self.simulator.fleet.id, "device_id": device.device_id}
        for one in request.receipts:
            sealed = SealedReceipt(one.payload, one.signature)
            device.receipts.append(open_receipt(sealed, spki=device.spki, **who))
        for one in request.outputs:
            held = device.output.get(one.stream, b"")
            device.output[one.stream] = held[: one.offset] + one.data
        return agent_pb2.SubmitOrderUpdatesResponse()

    def _device(self, context):
        facts = certs.parse_certificate(context.auth_context()["x509_pem_cert"][0])
        principal = parse_uri(facts.uris[0])
        device = self.simulator.devices[principal.name]
        if facts.not_after < self.simulator.now():
            refuse(context, Unauthenticated("the certificate has expired", code="expired"))
        if facts.spki == device.pending_spki:
            device.spki, device.pending_spki = facts.spki, b""
        if facts.spki != device.spki or device.state != "active":
            refuse(context, Unauthenticated("the device is revoked", code="revoked"))
        return device
