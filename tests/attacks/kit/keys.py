"""What somebody has who read the server's state folder: its keys, and any certificate by them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from penguindome import certs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

CLIENT, SERVER = ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Identity:
    """A key and what follows from it, PEM; `name` is a device id or an operator's name."""

    key: bytes
    certificate: bytes
    name: str = ""


class StolenKeys:
    """The keys of a server."""

    def __init__(self, state_dir: Path) -> None:
        folder, tls = state_dir / "authority", state_dir / "tls"
        self.device = _pair(folder / "device-ca.pem", folder / "device-ca-key.pem")
        self.operator = _pair(folder / "operator-ca.pem", folder / "operator-ca-key.pem")
        self.anchor_pair = _pair(folder / "anchor.pem", folder / "anchor-key.pem")
        self.anchor = self.anchor_pair.certificate
        self.server = _pair(tls / "server.pem", tls / "server-key.pem")


def own_authority(like: bytes | None = None) -> Identity:
    """Return an attacker's own authority, with the name of another one if given."""
    key = certs.generate_key()
    name = "Evil"
    if like is not None:
        subject = x509.load_pem_x509_certificate(like).subject
        name = str(subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)
    pem = certs.make_authority(
        name,
        key_pem=key,
        now=datetime.now(UTC) - DAY,
        lifetime=365 * DAY,
        path_length=None,
        client_auth_only=False,
    )
    return Identity(key, pem)


def certificate(
    authority: Identity,
    key: bytes,
    *uris: str,
    usage: Sequence[x509.ObjectIdentifier] = (CLIENT,),
    is_ca: bool = False,
    not_before: datetime | None = None,
    not_after: datetime | None = None,
) -> bytes:
    """Return a certificate by an authority, PEM, as odd as asked for."""
    now = datetime.now(UTC)
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = serialization.load_pem_private_key(authority.key, None)
    public = serialization.load_pem_private_key(key, None).public_key()
    builder = x509.CertificateBuilder(
        issuer_name=issuer.subject,
        subject_name=x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "evil")]),
        public_key=public,
        serial_number=x509.random_serial_number(),
        not_valid_before=not_before or now - DAY,
        not_valid_after=not_after or now + DAY,
    )
    names = [x509.UniformResourceIdentifier(uri) for uri in uris]
    builder = builder.add_extension(x509.BasicConstraints(is_ca, None), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usage), critical=False)
    signed = builder.sign(issuer_key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.PEM)


def _pair(certificate_path: Path, key_path: Path) -> Identity:
    return Identity(key_path.read_bytes(), certificate_path.read_bytes())
