"""Write and read the one line that lets a device or an operator in.

The line carries the server's anchor and the hash of the trust document, so that the very first
contact is verified. Layout, in base64url without padding behind `pde1.` or `pdi1.`:
two bytes of length of all that follows, fields (two bytes of length each), four bytes of SHA-256.
Trust: the line was typed or pasted; it may be cut, mistyped or something else altogether.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field

from penguindome.errors import InvalidInput
from penguindome.ids import is_fleet_id
from penguindome.names import is_dialled_host, valid_operator_name

HASH_BYTES = 32
SECRET_BYTES = 32
ID_BYTES = 8
LINE_LIMIT = 16 * 1024
_CHECKSUM_BYTES = 4
_TOKEN, _INVITATION = "pde1", "pdi1"
_WHAT = {_TOKEN: "enrollment token", _INVITATION: "invitation"}


@dataclass(frozen=True, slots=True)
class EnrollmentToken:
    """Let a device in.

    Attributes:
        anchor: The server anchor's certificate, DER.
        fleet: The fleet's id.
        trust_hash: The SHA-256 of the trust document's payload.
        token_id: Names the token; no secret.
        secret: What the server knows only the hash of.
        host: The host to dial.
        main_port: The main listener's port.
        bootstrap_port: The bootstrap listener's port.
    """

    anchor: bytes
    fleet: str
    trust_hash: bytes
    token_id: bytes
    secret: bytes = field(repr=False)
    host: str
    main_port: int
    bootstrap_port: int


@dataclass(frozen=True, slots=True)
class Invitation:
    """Let an operator in; attributes as in `EnrollmentToken`.

    Attributes:
        operator_name: The operator's name.
        trust_hash: Empty before the fleet has a trust document.
    """

    anchor: bytes
    fleet: str
    invitation_id: bytes
    secret: bytes = field(repr=False)
    host: str
    main_port: int
    bootstrap_port: int
    operator_name: str
    trust_hash: bytes = b""


def encode_token(token: EnrollmentToken) -> str:
    """Return the line of a token."""
    return _encode(
        _TOKEN,
        token.anchor,
        bytes.fromhex(token.fleet),
        token.trust_hash,
        token.token_id,
        token.secret,
        *_address(token),
    )


def decode_token(text: str) -> EnrollmentToken:
    """Return the token that a line holds.

    Raises:
        InvalidInput: The line is cut, mistyped or of another kind; says which.
    """
    fields = _decode(_TOKEN, text, 8)
    anchor, fleet, trust_hash, token_id, secret, host, main, bootstrap = fields
    return EnrollmentToken(
        anchor=anchor,
        fleet=_fleet(fleet),
        trust_hash=_sized(trust_hash, HASH_BYTES),
        token_id=_sized(token_id, ID_BYTES),
        secret=_sized(secret, SECRET_BYTES),
        host=_host(host),
        main_port=_port(main),
        bootstrap_port=_port(bootstrap),
    )


def encode_invitation(invitation: Invitation) -> str:
    """Return the line of an invitation."""
    return _encode(
        _INVITATION,
        invitation.anchor,
        bytes.fromhex(invitation.fleet),
        invitation.trust_hash,
        invitation.invitation_id,
        invitation.secret,
        *_address(invitation),
        invitation.operator_name.encode(),
    )


def decode_invitation(text: str) -> Invitation:
    """Return the invitation that a line holds.

    Raises:
        InvalidInput: The line is cut, mistyped or of another kind; says which.
    """
    fields = _decode(_INVITATION, text, 9)
    anchor, fleet, trust_hash, invitation_id, secret, host, main, bootstrap, name = fields
    operator_name = name.decode("utf-8", "replace")
    if not valid_operator_name(operator_name):
        raise _mistyped(_INVITATION)
    return Invitation(
        anchor=anchor,
        fleet=_fleet(fleet),
        invitation_id=_sized(invitation_id, ID_BYTES),
        secret=_sized(secret, SECRET_BYTES),
        host=_host(host),
        main_port=_port(main),
        bootstrap_port=_port(bootstrap),
        operator_name=operator_name,
        trust_hash=_sized(trust_hash, HASH_BYTES) if trust_hash else b"",
    )


def hash_secret(secret: bytes) -> bytes:
    """Return what the server keeps of a secret: its SHA-256; 256 random bits need no stretching."""
    return hashlib.sha256(secret).digest()


def _address(line: EnrollmentToken | Invitation) -> tuple[bytes, bytes, bytes]:
    return (
        line.host.encode(),
        line.main_port.to_bytes(2, "big"),
        line.bootstrap_port.to_bytes(2, "big"),
    )


def _encode(kind: str, *fields: bytes) -> str:
    body = b"".join(len(part).to_bytes(2, "big") + part for part in fields)
    whole = (len(body) + _CHECKSUM_BYTES).to_bytes(2, "big") + body
    whole += _checksum(kind, whole)
    return f"{kind}.{base64.urlsafe_b64encode(whole).decode().rstrip('=')}"


def _decode(kind: str, text: str, count: int) -> list[bytes]:
    """Return the fields of a line, or say what became of it."""
    line = "".join(text.split())
    if not line:
        raise InvalidInput(
            f"no {_WHAT[kind]} was given",
            code="line-missing",
            remedy=f"Give the line that starts with {kind}. on standard input or in a file",
        )
    found, dot, encoded = line.partition(".")
    if found != kind or not dot:
        raise _wrong_kind(kind, found)
    if len(encoded) > LINE_LIMIT:
        raise _mistyped(kind)
    whole = _unbase64(kind, encoded)
    stated = int.from_bytes(whole[:2], "big") + 2
    if len(whole) < stated or len(whole) <= 2 + _CHECKSUM_BYTES:
        raise InvalidInput(
            f"the {_WHAT[kind]} is cut off: {len(line)} characters arrived",
            code="line-truncated",
            remedy=f"Copy the whole line again, from {kind} to its end",
        )
    if len(whole) > stated or whole[-_CHECKSUM_BYTES:] != _checksum(kind, whole[:-4]):
        raise _mistyped(kind)
    fields = _fields(whole[2:-_CHECKSUM_BYTES])
    if len(fields) != count:
        raise _mistyped(kind)
    return fields


def _unbase64(kind: str, encoded: str) -> bytes:
    """Decode; a length that base64 cannot have means that the end is missing."""
    usable = encoded[: len(encoded) - 1] if len(encoded) % 4 == 1 else encoded
    try:
        padded = usable + "=" * (-len(usable) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise _mistyped(kind) from None


def _fields(body: bytes) -> list[bytes]:
    fields: list[bytes] = []
    while body:
        size = int.from_bytes(body[:2], "big")
        fields.append(body[2 : 2 + size])
        body = body[2 + size :]
    return fields


def _checksum(kind: str, data: bytes) -> bytes:
    return hashlib.sha256(kind.encode() + data).digest()[:_CHECKSUM_BYTES]


def _sized(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise _unusable(f"a field has {len(data)} bytes instead of {size}")
    return data


def _fleet(data: bytes) -> str:
    if not is_fleet_id(data.hex()):
        raise _unusable("the fleet's id is none")
    return data.hex()


def _host(data: bytes) -> str:
    host = data.decode("utf-8", "replace")
    if not is_dialled_host(host):
        raise _unusable("the host's name is none")
    return host


def _port(data: bytes) -> int:
    port = int.from_bytes(_sized(data, 2), "big")
    if not port:
        raise _unusable("a port is 0")
    return port


def _wrong_kind(kind: str, found: str) -> InvalidInput:
    what = f"an {_WHAT[found]}" if found in _WHAT else "something else"
    return InvalidInput(
        f"this is {what}, not an {_WHAT[kind]}",
        code="wrong-line",
        remedy=f"The line needed here starts with {kind}.",
    )


def _mistyped(kind: str) -> InvalidInput:
    return InvalidInput(
        f"the {_WHAT[kind]} is mistyped or damaged",
        code="line-mistyped",
        remedy="Copy the whole line again instead of typing it",
    )


def _unusable(reason: str) -> InvalidInput:
    return InvalidInput(
        f"the line cannot be used: {reason}", code="line-unusable", remedy="Ask for a new one"
    )
