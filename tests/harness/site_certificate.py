"""A server certificate of a site's own: a root, an intermediate authority, and the leaf."""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from penguindome import certs

if TYPE_CHECKING:
    from pathlib import Path

    Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey

DAY = timedelta(days=1)


class SiteCertificate:
    """Files as an administrator keeps them; `replace` puts new ones in their place.

    Attributes:
        certificate: the chain: leaf, intermediate, root.
        key: the leaf's key.

    """

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        """Make a root with an RSA key, an intermediate with a P-384 one, and the leaf."""
        self.certificate, self.key = folder / "site.pem", folder / "site-key.pem"
        self._host = host
        root_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key = ec.generate_private_key(ec.SECP384R1())
        root = _authority("Root", root_key, "Root", root_key)
        self._intermediate = _authority("Intermediate", self._key, "Root", root_key)
        self.root_pem = _pem(root)
        self.replace()

    def replace(
        self, *, days: int = 90, chain: bytes | None = None, key: bytes | None = None
    ) -> str:
        """Put another leaf in place, or whatever is given; return the leaf's serial."""
        leaf, made = self.leaf(days)
        whole = leaf + _pem(self._intermediate) + self.root_pem if chain is None else chain
        _put(self.key, key or made)
        _put(self.certificate, whole)
        return certs.parse_certificate(leaf).serial

    def leaf(self, days: int = 90, host: str = "") -> tuple[bytes, bytes]:
        """Return a leaf by the intermediate authority and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        address = ipaddress.ip_address(host or self._host)
        now = datetime.now(UTC)
        builder = _builder("leaf", key, "Intermediate", now - 99 * DAY, now + days * DAY)
        names = x509.SubjectAlternativeName([x509.IPAddress(address)])
        pem = _pem(builder.add_extension(names, critical=False).sign(self._key, hashes.SHA256()))
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return pem, private


def _authority(name: str, key: Key, issuer: str, issuer_key: Key) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = _builder(name, key, issuer, now - 100 * DAY, now + 100 * DAY)
    constraints = x509.BasicConstraints(ca=True, path_length=None)
    return builder.add_extension(constraints, critical=True).sign(issuer_key, hashes.SHA256())


def _builder(
    name: str, key: Key, issuer: str, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return x509.CertificateBuilder(
        subject_name=_name(name),
        issuer_name=_name(issuer),
        public_key=key.public_key(),
        serial_number=x509.random_serial_number(),
        not_valid_before=start,
        not_valid_after=end,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _put(path: Path, data: bytes) -> None:
    """Replace a file as administrators' tools do: by a rename, closed to others."""
    new = path.with_suffix(".new")
    new.write_bytes(data)
    new.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(new, 0, 65534)
    new.replace(path)
