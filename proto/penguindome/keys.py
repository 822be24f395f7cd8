"""Make private keys, and sign and verify with them: ECDSA P-256 throughout."""

from __future__ import annotations

import hashlib

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from penguindome.errors import InvalidInput

ACCEPTED_KEYS = "ECDSA P-256"
_DER = serialization.Encoding.DER
_SPKI = serialization.PublicFormat.SubjectPublicKeyInfo


def generate_key() -> bytes:
    """Make a private key, PEM PKCS#8 without a passphrase."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def key_spki(key_pem: bytes) -> bytes:
    """Return the public key of a private key, DER SubjectPublicKeyInfo."""
    return load_private(key_pem).public_key().public_bytes(_DER, _SPKI)


def sign(key_pem: bytes, data: bytes) -> bytes:
    """Return an ECDSA-SHA256 signature, DER."""
    return load_private(key_pem).sign(data, ec.ECDSA(hashes.SHA256()))


def verify(spki: bytes, data: bytes, signature: bytes) -> bool:
    """Tell whether a signature is by a P-256 key; anything malformed is a no."""
    try:
        load_public(spki).verify(signature, data, ec.ECDSA(hashes.SHA256()))
    except (InvalidInput, InvalidSignature, ValueError):
        return False
    return True


def fingerprint(spki: bytes) -> str:
    """Return the SHA-256 of a public key, hexadecimal."""
    return hashlib.sha256(spki).hexdigest()


def load_private(key_pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Read a private key.

    Raises:
        InvalidInput: It cannot be read, or is of another type.
    """
    try:
        key = serialization.load_pem_private_key(key_pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidInput("the private key cannot be read", code="bad-key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not is_p256(key):
        raise wrong_type("the private key")
    return key


def load_public(spki: bytes) -> ec.EllipticCurvePublicKey:
    """Read a public key.

    Raises:
        InvalidInput: It cannot be read, or is of another type.
    """
    try:
        key = serialization.load_der_public_key(spki)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidInput("the public key cannot be read", code="bad-key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not is_p256(key):
        raise wrong_type("the public key")
    return key


def is_p256(key: object) -> bool:
    """Tell whether a key is of the accepted type."""
    curve = getattr(key, "curve", None)
    return isinstance(curve, ec.SECP256R1)


def wrong_type(what: str) -> InvalidInput:
    """Return the error for a key of another type."""
    return InvalidInput(
        f"{what} is of another type; accepted: {ACCEPTED_KEYS}",
        code="bad-key-type",
        remedy="Make an ECDSA P-256 key",
    )
