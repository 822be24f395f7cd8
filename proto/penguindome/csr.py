"""Make and read certificate requests, of which only the public key counts.

Source: RFC 2986 (PKCS#10).
"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from penguindome.errors import InvalidInput
from penguindome.keys import ACCEPTED_KEYS, is_p256, load_private, wrong_type

REQUEST_LIMIT = 8 * 1024
# InternalError: what cryptography 38 makes of a request that only OpenSSL finds malformed.
_MALFORMED = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion, InternalError)


def make_csr(key_pem: bytes) -> bytes:
    """Return a PKCS#10 request in DER; it asks for nothing but the key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "penguindome")])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    return builder.sign(load_private(key_pem), hashes.SHA256()).public_bytes(
        serialization.Encoding.DER
    )


def csr_spki(csr_der: bytes) -> bytes:
    """Return the public key of a request that proves possession of it.

    Trust: the request comes from a stranger; nothing but its key is taken.

    Raises:
        InvalidInput: Not a request, another kind of key, or not signed by its own key.
    """
    if len(csr_der) > REQUEST_LIMIT:
        raise _unreadable()
    try:
        request = x509.load_der_x509_csr(csr_der)
        key = request.public_key()
    except _MALFORMED:
        raise _unreadable() from None
    if not is_p256(key):
        raise wrong_type("the certificate request's key")
    try:
        proven = request.is_signature_valid
    except _MALFORMED:
        proven = False
    if not proven:
        raise InvalidInput("the certificate request is not signed by its own key", code="bad-csr")
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _unreadable() -> InvalidInput:
    return InvalidInput(
        f"the certificate request cannot be read; accepted keys: {ACCEPTED_KEYS}", code="bad-csr"
    )
