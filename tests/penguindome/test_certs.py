from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import example, given
from hypothesis import strategies as st

from penguindome import certs
from penguindome.errors import InvalidInput

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
KEY = certs.generate_key()
URI = "spiffe://" + "0" * 32 + "/device/d-aaaaaaaaaaaaaaaa"
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "root")])


REQUEST = certs.make_csr(KEY)
CERTIFICATE = certs.pem_to_der(
    certs.make_authority(
        "x", key_pem=KEY, now=NOW, lifetime=timedelta(1), path_length=0, client_auth_only=True
    )
)


def authority(key: bytes = KEY, **changes: object) -> bytes:
    fields = {"key_pem": key, "now": NOW, "lifetime": timedelta(days=730), "path_length": 0}
    return certs.make_authority("devices", **(fields | {"client_auth_only": True} | changes))  # type: ignore[arg-type]


def leaf(spki: bytes, **changes: object) -> bytes:
    fields = {"uri": URI, "client": True, "not_before": NOW}
    return certs.issue(
        authority_pem=authority(),
        authority_key_pem=KEY,
        spki=spki,
        **(fields | {"not_after": NOW + timedelta(days=14)} | changes),  # type: ignore[arg-type]
    )


def request(key: object, *, greedy: bool = False) -> bytes:
    builder = x509.CertificateSigningRequestBuilder().subject_name(NAME)
    if greedy:
        names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(URI + "x")])
        constraints = x509.BasicConstraints(ca=True, path_length=9)
        builder = builder.add_extension(constraints, critical=True)
        builder = builder.add_extension(names, critical=False)
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(serialization.Encoding.DER)  # type: ignore[arg-type]


def test_a_request_gives_its_key() -> None:
    key = certs.generate_key()
    assert certs.csr_spki(certs.make_csr(key)) == certs.key_spki(key)


@pytest.mark.parametrize(
    "key",
    [
        ed25519.Ed25519PrivateKey.generate(),
        ec.generate_private_key(ec.SECP521R1()),
        ec.generate_private_key(ec.SECP384R1()),
        ec.generate_private_key(ec.SECP256K1()),
        rsa.generate_private_key(65_537, 2_048),
    ],
    ids=["ed25519", "p521", "p384", "secp256k1", "rsa"],
)
def test_other_keys_are_refused_naming_the_accepted(key: object) -> None:
    with pytest.raises(InvalidInput, match=r"accepted: ECDSA P-256") as caught:
        certs.csr_spki(request(key))
    assert caught.value.code == "bad-key-type"


def test_a_request_not_signed_by_its_key_is_refused() -> None:
    good = bytearray(certs.make_csr(KEY))
    good[-1] ^= 1
    with pytest.raises(InvalidInput) as caught:
        certs.csr_spki(bytes(good))
    assert caught.value.code == "bad-csr"


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_neither_request_nor_certificate(data: bytes) -> None:
    for read in (certs.csr_spki, certs.parse_certificate, certs.pem_to_der):
        with pytest.raises(InvalidInput):
            read(data)
    assert not certs.verify(data, b"", data)


@given(st.integers(0, 10_000), st.integers(1, 255))
@example(7735, 1)
def test_a_damaged_request_gives_the_same_key_or_our_error(position: int, change: int) -> None:
    data = bytearray(REQUEST)
    data[position % len(data)] ^= change
    with contextlib.suppress(InvalidInput):
        assert certs.csr_spki(bytes(data)) == certs.key_spki(KEY)


@given(st.integers(0, 10_000), st.integers(1, 255))
@example(7267, 1)
def test_a_damaged_certificate_gives_facts_or_our_error(position: int, change: int) -> None:
    data = bytearray(CERTIFICATE)
    data[position % len(data)] ^= change
    with contextlib.suppress(InvalidInput):
        certs.parse_certificate(bytes(data))


def test_what_a_request_asks_for_is_ignored() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    spki = certs.csr_spki(request(key, greedy=True))
    found = certs.parse_certificate(leaf(spki))
    assert (found.uris, found.is_ca, found.subject) == ((URI,), False, "CN=d-aaaaaaaaaaaaaaaa")
    assert found.not_after == NOW + timedelta(days=14)


def test_a_certificate_states_policy() -> None:
    spki = certs.key_spki(certs.generate_key())
    pem = leaf(spki)
    found = certs.parse_certificate(pem)
    assert found == certs.parse_certificate(certs.pem_to_der(pem))
    assert certs.der_to_pem(certs.pem_to_der(pem)) == pem
    assert (found.spki, found.not_before) == (spki, NOW)
    identifier = x509.SubjectKeyIdentifier.from_public_key(
        serialization.load_der_public_key(certs.key_spki(KEY))  # type: ignore[arg-type]
    )
    assert found.issuer_key_id == identifier.digest
    parsed = x509.load_pem_x509_certificate(pem)
    usage = parsed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert f"{parsed.serial_number:x}" == found.serial


def test_a_server_certificate_has_names_and_addresses() -> None:
    spki = certs.key_spki(certs.generate_key())
    pem = leaf(
        spki, uri="", client=False, dns_names=["pd.example.org"], ip_addresses=["::1", "127.0.0.1"]
    )
    found = certs.parse_certificate(pem)
    assert (found.uris, found.dns_names) == ((), ("pd.example.org",))
    assert found.ip_addresses == ("::1", "127.0.0.1")


def test_signed_by_knows_its_authority() -> None:
    pem = leaf(certs.key_spki(certs.generate_key()))
    assert certs.signed_by(pem, authority())
    other = authority(certs.generate_key())
    assert not certs.signed_by(pem, other)
    assert not certs.signed_by(authority(), pem)
    found = certs.parse_certificate(authority())
    assert (found.is_ca, found.uris) == (True, ())


def test_signatures_verify_by_their_key_only() -> None:
    signature = certs.sign(KEY, b"data")
    spki = certs.key_spki(KEY)
    assert certs.verify(spki, b"data", signature)
    assert not certs.verify(spki, b"other", signature)
    assert not certs.verify(spki, b"data", signature[:-1])
    assert not certs.verify(certs.key_spki(certs.generate_key()), b"data", signature)
    assert len(certs.fingerprint(spki)) == 64


def test_unreadable_keys_are_refused() -> None:
    for pem in (b"", b"junk", KEY[:-40]):
        with pytest.raises(InvalidInput):
            certs.key_spki(pem)
    with pytest.raises(InvalidInput):
        leaf(b"junk")


def test_a_large_certificate_costs_nothing() -> None:
    start = time.monotonic()
    with pytest.raises(InvalidInput):
        certs.parse_certificate(b"-----BEGIN CERTIFICATE-----\n" + b"A" * 10**6)
    assert time.monotonic() - start < 1
