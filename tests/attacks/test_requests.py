"""Certificate requests that ask for what they must not get."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from penguindome import certs
from penguindome.errors import InvalidInput
from penguindome.tokens import decode_invitation
from penguindome.v1 import bootstrap_pb2 as boot
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.wire import SECONDS, refusal

pytestmark = pytest.mark.timeout(120)
FOREIGN_KEYS = {
    "ed25519": ed25519.Ed25519PrivateKey.generate,
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "k256": lambda: ec.generate_private_key(ec.SECP256K1()),
    "rsa1024": lambda: rsa.generate_private_key(65_537, 1024),  # noqa: S505 -- weak on purpose
    "rsa4096": lambda: rsa.generate_private_key(65_537, 4096),
}


def request(key, *extensions, common_name="x"):
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)


def tampered(csr):
    """Return the request with one bit of its signature, at its end, turned over."""
    return csr[:-1] + bytes([csr[-1] ^ 1])


def refused_everywhere(wire, device, token, invitation, csr):
    """Return why enrollment, renewal and redemption refuse a request; no token or use is spent."""
    stranger = EvilAgent(wire)
    redemption = boot.RedeemInvitationRequest(
        invitation_id=invitation.invitation_id, invitation_secret=invitation.secret, csr=csr
    )
    errors = [
        refusal(stranger.enroll, token, csr=csr),
        refusal(device.renew, csr=csr),
        refusal(stranger.bootstrap.RedeemInvitation, redemption, timeout=SECONDS),
    ]
    assert {type(error) for error in errors} == {InvalidInput}
    return {error.reason for error in errors}


@pytest.fixture(scope="module")
def invitation(fleet):
    return decode_invitation(fleet.invite("mallory").read_text())


@pytest.mark.parametrize("kind", FOREIGN_KEYS)
def test_request_for_a_key_of_another_kind(wire, device, token, invitation, kind):
    csr = request(FOREIGN_KEYS[kind]())
    for reason in refused_everywhere(wire, device, token, invitation, csr):
        assert "P-256" in reason
    device.renew()


def test_request_that_its_own_key_did_not_sign(wire, device, token, invitation):
    good = certs.make_csr(device.key)
    for csr in (tampered(good), good[:-20], good + b"\0", b"", b"\x30" * 200):
        refused_everywhere(wire, device, token, invitation, csr)
    stranger = EvilAgent(wire)
    other = EvilAgent(wire)
    # A genuine request of somebody else: we cannot prove that we hold its key.
    error = refusal(stranger.enroll, token, csr=certs.make_csr(other.key))
    assert error.code == "possession"
    assert stranger.enroll(token).certificate


def greedy(key, victim):
    """Return a request for much more than a device's certificate."""
    private = serialization.load_pem_private_key(key, None)
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]
    names = [x509.UniformResourceIdentifier(victim.uri), x509.DNSName("localhost")]
    return request(
        private,
        (x509.BasicConstraints(ca=True, path_length=9), True),
        (x509.SubjectAlternativeName(names), True),
        (x509.ExtendedKeyUsage(usage), True),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"x"), False),
        common_name="root",
    )


def test_request_for_another_name_power_and_time(wire, token, device):
    greedy_agent = EvilAgent(wire)
    csr = greedy(greedy_agent.key, device)
    greedy_agent.enroll(token, csr=csr)
    for pem in (greedy_agent.certificate, greedy_agent.renew(csr=csr).certificate):
        found = x509.load_pem_x509_certificate(pem)
        facts = certs.parse_certificate(pem)
        assert facts.uris == (device.uri.replace(device.device_id, greedy_agent.device_id),)
        assert (facts.dns_names, facts.is_ca) == ((), False)
        assert "root" not in facts.subject
        assert facts.not_after <= datetime.now(UTC) + timedelta(days=14)
        usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        key_usage = found.extensions.get_extension_for_class(x509.KeyUsage).value
        assert not key_usage.key_cert_sign
        assert not any(ext.oid.dotted_string.endswith("99999.1") for ext in found.extensions)
    greedy_agent.call()
    device.call()
