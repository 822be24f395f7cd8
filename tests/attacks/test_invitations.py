"""Operators' invitations in the wrong hands, and operators who were revoked."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from penguindome import certs, possession
from penguindome.error_wire import from_rpc_error
from penguindome.errors import Forbidden, PenguinDomeError, Unauthenticated, Unavailable
from penguindome.tokens import decode_invitation
from penguindome.v1 import bootstrap_pb2 as boot
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.keys import Identity, certificate
from tests.attacks.kit.wire import SECONDS, first_answer, refusal
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(120)
SELF = "/penguindome.v1.ServerService/GetSelf"
APPLICANTS = 20


@pytest.fixture
def invite(fleet):
    return lambda name: decode_invitation(fleet.invite(name).read_text())


class Applicant:
    """Somebody with a key who would be an operator."""

    def __init__(self, wire):
        self.key = certs.generate_key()
        self.csr = certs.make_csr(self.key)
        self.bootstrap = EvilAgent(wire, self.key).bootstrap

    def redeem(self, invitation, secret=None):
        request = boot.RedeemInvitationRequest(
            invitation_id=invitation.invitation_id,
            invitation_secret=invitation.secret if secret is None else secret,
            csr=self.csr,
        )
        answer = self.bootstrap.RedeemInvitation(request, timeout=SECONDS)
        return Identity(self.key, answer.certificate, answer.operator_name)

    def try_to_redeem(self, invitation):
        try:
            return self.redeem(invitation)
        except grpc.RpcError as error:
            return from_rpc_error(error)


def test_twenty_at_once_with_one_invitation(wire, invite):
    invitation = invite("dora")
    applicants = [Applicant(wire) for _ in range(APPLICANTS)]
    with ThreadPoolExecutor(APPLICANTS) as pool:
        answers = list(pool.map(lambda one: one.try_to_redeem(invitation), applicants))
    refused = [answer for answer in answers if isinstance(answer, PenguinDomeError)]
    assert {type(error) for error in refused} == {Forbidden}
    assert len(refused) == APPLICANTS - 1
    (winner,) = (answer for answer in answers if isinstance(answer, Identity))
    assert first_answer(wire.main(winner), SELF)


def test_invitation_stolen_after_it_was_used(wire, invite):
    invitation = invite("erna")
    erna = Applicant(wire).redeem(invitation)
    assert type(refusal(Applicant(wire).redeem, invitation)) is Forbidden
    assert first_answer(wire.main(erna), SELF)


def test_six_wrong_secrets_freeze_an_invitation(wire, invite):
    invitation, other = invite("fritz"), invite("greta")
    errors = [refusal(Applicant(wire).redeem, invitation, bytes([n]) * 32) for n in range(6)]
    errors.append(refusal(Applicant(wire).redeem, invitation))
    assert {(type(error), error.code, error.reason) for error in errors} == {
        (Forbidden, errors[0].code, errors[0].reason)
    }
    Applicant(wire).redeem(other)


def test_revoked_operator(fleet, wire, invite):
    hans = Applicant(wire).redeem(invite("hans"))
    channel = wire.main(hans)
    assert first_answer(channel, SELF)
    other = invite("ida")
    fleet.server.run("operator", "revoke", "hans")

    def out():
        try:
            first_answer(channel, SELF)
        except grpc.RpcError as error:
            return from_rpc_error(error)
        return None

    error = wait_until(out, 10, "a revoked operator is let in")
    assert (type(error), error.code) == (Unauthenticated, "revoked")
    assert refusal(first_answer, wire.main(hans), SELF).code == "revoked"
    Applicant(wire).redeem(other)


def test_invitation_of_a_revoked_operator(fleet, wire, invite):
    first = invite("jan")
    Applicant(wire).redeem(first)
    open_one = invite("jan")
    fleet.server.run("operator", "revoke", "jan")
    for invitation in (first, open_one):
        assert type(refusal(Applicant(wire).redeem, invitation)) is Forbidden
    assert Applicant(wire).redeem(invite("jan")).name == "jan"


def test_devices_key_does_not_make_an_operator(keys, wire, device):
    """A device's certificate under an operator's name is refused, whoever signed it."""
    fleet_id = device.uri.split("/")[2]
    for authority in (keys.device, keys.operator):
        forged = certificate(authority, device.key, f"spiffe://{fleet_id}/operator/alice")
        error = refusal(first_answer, wire.main(Identity(device.key, forged)), SELF)
        assert isinstance(error, Unauthenticated | Unavailable)
    device.call()


def renewal(applicant, name, *, signer=None, nonce=None, signed=possession.renew_operator_bytes):
    """Return a request for a new certificate of an operator."""
    nonce = nonce or applicant.bootstrap.Begin(boot.BeginRequest(), timeout=SECONDS).nonce
    signature = certs.sign(signer or applicant.key, signed(nonce, name))
    return boot.RenewOperatorRequest(nonce=nonce, operator_name=name, signature=signature)


def test_renewal_of_an_operator_by_others(fleet, wire, invite, device):
    karl, lena = Applicant(wire), Applicant(wire)
    karl.redeem(invite("karl"))
    lena.redeem(invite("lena"))
    renew = karl.bootstrap.RenewOperator
    wrong = (
        renewal(lena, "karl"),
        renewal(karl, "karl", signer=device.key),
        renewal(karl, "alice"),
        renewal(karl, "no-such-operator"),
        # A proof for another purpose.
        renewal(karl, "karl", signed=possession.poll_bytes),
    )
    errors = [refusal(renew, request, timeout=SECONDS) for request in wrong]
    assert {(type(error), error.code) for error in errors} == {(Unauthenticated, "possession")}
    assert len({(error.reason, error.remedy) for error in errors}) == 1
    honest = renewal(karl, "karl")
    renewed = Identity(karl.key, renew(honest, timeout=SECONDS).certificate)
    assert refusal(renew, honest, timeout=SECONDS).code == "nonce"
    assert first_answer(wire.main(renewed), SELF)
    fleet.server.run("operator", "revoke", "karl")
    assert isinstance(refusal(renew, renewal(karl, "karl"), timeout=SECONDS), PenguinDomeError)
    assert renew(renewal(lena, "lena"), timeout=SECONDS).certificate
