"""Make and read certificates: with `csr` the only place that knows X.509.

Every key is ECDSA P-256, since gRPC's TLS refuses Ed25519 and P-521. From a request only the
public key is used; names, dates and extensions are the issuer's.
Source: RFC 5280; cryptography 38 and later.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from penguindome.csr import csr_spki, make_csr
from penguindome.errors import InvalidInput
from penguindome.keys import (
    ACCEPTED_KEYS,
    fingerprint,
    generate_key,
    key_spki,
    load_private,
    load_public,
    sign,
    verify,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta

__all__ = [
    "ACCEPTED_KEYS",
    "CertificateFacts",
    "cross_sign",
    "csr_spki",
    "der_to_pem",
    "fingerprint",
    "generate_key",
    "issue",
    "key_spki",
    "make_authority",
    "make_csr",
    "parse_certificate",
    "pem_to_der",
    "sign",
    "signed_by",
    "verify",
]

CERTIFICATE_LIMIT = 64 * 1024
_SHA256 = hashes.SHA256()
_DER = serialization.Encoding.DER
_PEM = serialization.Encoding.PEM
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo
_UNREADABLE = (
    # Where warnings are errors: what no later version will parse.
    CryptographyDeprecationWarning,
    # cryptography 38 looks up a name's ASN.1 type in a table.
    KeyError,
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """Hold what we ask of a certificate.

    Attributes:
        uris: URI names, in order; an identity has exactly one.
        dns_names: DNS names.
        ip_addresses: IP addresses as text.
        serial: Hexadecimal, lower case.
        spki: The public key, DER SubjectPublicKeyInfo.
        issuer_key_id: The key identifier of the issuer; None where it is missing.
        subject: RFC 4514 text, for display only.
        not_before: Start.
        not_after: End.
        is_ca: Whether it may issue others.
    """

    uris: tuple[str, ...]
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    serial: str
    spki: bytes
    issuer_key_id: bytes | None
    subject: str
    not_before: datetime
    not_after: datetime
    is_ca: bool


def parse_certificate(pem_or_der: bytes) -> CertificateFacts:
    """Return the facts of a certificate; of the first one where several follow each other.

    Raises:
        InvalidInput: It cannot be read.
    """
    certificate = _read(pem_or_der)
    try:
        return _facts(certificate)
    except _UNREADABLE:
        raise _unreadable() from None


def pem_to_der(pem: bytes) -> bytes:
    """Return a certificate as DER."""
    return _read(pem).public_bytes(_DER)


def der_to_pem(der: bytes) -> bytes:
    """Return a certificate as PEM."""
    return _read(der).public_bytes(_PEM)


def make_authority(
    common_name: str,
    *,
    key_pem: bytes,
    now: datetime,
    lifetime: timedelta,
    path_length: int | None,
    client_auth_only: bool,
) -> bytes:
    """Return a self-signed authority's certificate, PEM."""
    key = load_private(key_pem)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])
    constraints = x509.BasicConstraints(ca=True, path_length=path_length)
    builder = _builder(name, name, key.public_key(), now, now + lifetime)
    builder = builder.add_extension(constraints, critical=True)
    builder = builder.add_extension(_usage(authority=True), critical=True)
    if client_auth_only:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
        builder = builder.add_extension(usage, critical=False)
    return builder.sign(key, _SHA256).public_bytes(_PEM)


def cross_sign(
    certificate_pem: bytes,
    *,
    authority_pem: bytes,
    authority_key_pem: bytes,
    not_before: datetime,
    not_after: datetime,
) -> bytes:
    """Return an authority's name and key in another's certificate, PEM; RFC 5280 §3.2."""
    certificate, authority = _read(certificate_pem), _read(authority_pem)
    key, issuer_key = load_public(_facts(certificate).spki), load_private(authority_key_pem)
    key_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    builder = _builder(certificate.subject, authority.subject, key, not_before, not_after)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(_usage(authority=True), critical=True)
    builder = builder.add_extension(key_id, critical=False)
    return builder.sign(issuer_key, _SHA256).public_bytes(_PEM)


def issue(
    *,
    authority_pem: bytes,
    authority_key_pem: bytes,
    spki: bytes,
    uri: str = "",
    dns_names: Sequence[str] = (),
    ip_addresses: Sequence[str] = (),
    client: bool,
    not_before: datetime,
    not_after: datetime,
) -> bytes:
    """Return a leaf certificate for a public key, PEM; all but the key is the caller's word."""
    authority = _read(authority_pem)
    key = load_public(spki)
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(uri)] if uri else []
    names += [x509.DNSName(name) for name in dns_names]
    names += [x509.IPAddress(ipaddress.ip_address(address)) for address in ip_addresses]
    common = (uri.rpartition("/")[2] or next(iter((*dns_names, *ip_addresses)), "leaf"))[:64]
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
    issuer_key = load_private(authority_key_pem)
    builder = _builder(subject, authority.subject, key, not_before, not_after)
    for extension, critical in (
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (_usage(authority=False), True),
        (x509.ExtendedKeyUsage([purpose]), False),
        (x509.SubjectAlternativeName(names), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False),
    ):
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(issuer_key, _SHA256).public_bytes(_PEM)


def signed_by(cert_pem: bytes, authority_pem: bytes) -> bool:
    """Tell whether an authority issued a certificate, by name and signature; dates aside."""
    certificate, authority = _read(cert_pem), _read(authority_pem)
    key = authority.public_key()
    algorithm = certificate.signature_hash_algorithm
    if certificate.issuer != authority.subject or algorithm is None:
        return False
    if not isinstance(key, ec.EllipticCurvePublicKey):
        return False
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(algorithm))
    except InvalidSignature:
        return False
    return True


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    start: datetime,
    end: datetime,
) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder(issuer_name=issuer, subject_name=subject, public_key=key)
    builder = builder.serial_number(x509.random_serial_number())
    # cryptography 38 takes aware times and writes UTC.
    builder = builder.not_valid_before(start).not_valid_after(end)
    return builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _read(pem_or_der: bytes) -> x509.Certificate:
    """Read a certificate of either form."""
    try:
        if len(pem_or_der) > CERTIFICATE_LIMIT:
            raise _unreadable()
        if pem_or_der.lstrip().startswith(b"-----"):
            return x509.load_pem_x509_certificate(pem_or_der)
        return x509.load_der_x509_certificate(pem_or_der)
    except _UNREADABLE:
        raise _unreadable() from None


def _unreadable() -> InvalidInput:
    return InvalidInput("the certificate cannot be read", code="bad-certificate")


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    if certificate.serial_number <= 0:
        # RFC 5280 §4.1.2.2
        raise ValueError
    names = _extension(certificate, x509.SubjectAlternativeName)
    issuer = _extension(certificate, x509.AuthorityKeyIdentifier)
    constraints = _extension(certificate, x509.BasicConstraints)
    of_type = names.get_values_for_type if names else lambda _: []
    return CertificateFacts(
        uris=tuple(of_type(x509.UniformResourceIdentifier)),
        dns_names=tuple(of_type(x509.DNSName)),
        ip_addresses=tuple(map(str, of_type(x509.IPAddress))),
        serial=f"{certificate.serial_number:x}",
        spki=certificate.public_key().public_bytes(_DER, _SPKI),
        issuer_key_id=issuer.key_identifier if issuer else None,
        subject=certificate.subject.rfc4514_string(),
        not_before=_date(certificate, "not_valid_before"),
        not_after=_date(certificate, "not_valid_after"),
        is_ca=bool(constraints and constraints.ca),
    )


def _extension(certificate: x509.Certificate, kind: type[Any]) -> Any:
    """Return an extension's value, or None."""
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def _date(certificate: x509.Certificate, name: str) -> datetime:
    """Return a date as aware UTC; cryptography before 42 has naive ones only."""
    aware: datetime | None = getattr(certificate, f"{name}_utc", None)
    if aware is not None:
        return aware
    naive: datetime = getattr(certificate, name)
    return naive.replace(tzinfo=UTC)
