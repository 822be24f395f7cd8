"""Hold the trust document: who may do what to the fleet's devices, in signed JSON.

Trust: `from_payload` reads bytes that may come from anybody; it checks form and consistency, and
whoever calls it checks hash or signatures.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from penguindome.errors import InvalidInput
from penguindome.ids import is_fleet_id
from penguindome.names import is_dialled_host, valid_operator_name
from penguindome.openpgp import is_fingerprint, key_fingerprint
from penguindome.strict_json import Json, JsonLimits, canonical_json, parse_json
from penguindome.times import from_iso, to_iso

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

ROLES = ("root", "release", "patch", "command", "shell", "wipe", "secrets", "approve")
KEY_LIMIT = 100
ADDRESS_LIMIT = 16
PORT_LIMIT = 65535
_JSON_LIMITS = JsonLimits(size_bytes=256 * 1024, depth=8)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Role:
    """Say how many of which keys a role needs."""

    threshold: int
    fingerprints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecretKey:
    """Name a secret-keeping public key.

    Attributes:
        kid: Names the key.
        public_key: OpenPGP, binary.
        wrapped_hash: SHA-256 of the wrapped secret part, hexadecimal.
    """

    kid: str
    public_key: bytes
    wrapped_hash: str


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Say where the server can be dialled."""

    host: str
    main_port: int
    bootstrap_port: int


@dataclass(frozen=True, slots=True)
class TrustDocument:
    """Hold one version of the trust document.

    Attributes:
        fleet: The fleet's id.
        version: From 1, without gaps.
        issued_time: When it was written, whole seconds.
        expires_time: When devices stop obeying under it.
        keys: OpenPGP public keys, binary, by primary fingerprint.
        operators: Operators' names by primary fingerprint; one key each.
        roles: By the names in `ROLES`; a missing one lets nobody act in it.
        tls_anchors: Certificates (DER) of the servers that devices accept.
        server_names: Names that the server may be dialled by; empty means the token's.
        secret_keys: Secret-keeping public keys, the active one first.
        ticket_floor_time: Envelopes issued before it are void.
        minimum_agent: The oldest agent version that may act on orders; empty for any.
        server_addresses: Where the server can be dialled, the best first; empty means the token's.
    """

    fleet: str
    version: int
    issued_time: datetime
    expires_time: datetime
    keys: Mapping[str, bytes]
    operators: Mapping[str, str]
    roles: Mapping[str, Role]
    tls_anchors: tuple[bytes, ...]
    server_names: tuple[str, ...]
    secret_keys: tuple[SecretKey, ...]
    ticket_floor_time: datetime
    minimum_agent: str = ""
    server_addresses: tuple[ServerAddress, ...] = ()


def document_hash(payload: bytes) -> bytes:
    """Return what tokens pin: the SHA-256 of the exact payload bytes."""
    return hashlib.sha256(payload).digest()


def to_payload(document: TrustDocument) -> bytes:
    """Return a document's canonical JSON; times lose their fractions.

    Raises:
        InvalidInput: The document contradicts itself.
    """
    data = canonical_json(
        {
            "fleet": document.fleet,
            "version": document.version,
            "issued_time": to_iso(document.issued_time),
            "expires_time": to_iso(document.expires_time),
            "keys": {name: _to_base64(blob) for name, blob in document.keys.items()},
            "operators": dict(document.operators),
            "roles": {
                name: {"threshold": role.threshold, "fingerprints": list(role.fingerprints)}
                for name, role in document.roles.items()
            },
            "tls_anchors": [_to_base64(anchor) for anchor in document.tls_anchors],
            "server_names": list(document.server_names),
            "secret_keys": [
                {
                    "kid": key.kid,
                    "public_key": _to_base64(key.public_key),
                    "wrapped_hash": key.wrapped_hash,
                }
                for key in document.secret_keys
            ],
            "ticket_floor_time": to_iso(document.ticket_floor_time),
            "minimum_agent": document.minimum_agent,
            **_addresses_words(document.server_addresses),
        }
    )
    from_payload(data)
    return data


def from_payload(data: bytes) -> TrustDocument:
    """Read a document strictly. Fields of later versions are ignored unless `crit` names them.

    Raises:
        InvalidInput: It is malformed or contradicts itself; says how.
    """
    value = _typed(parse_json(data, _JSON_LIMITS), dict, "the document")
    if value.get("crit", []) != []:
        raise _bad("it demands an understanding that this version has not")
    get = _getter(value)
    document = TrustDocument(
        fleet=get("fleet", str),
        version=get("version", int),
        issued_time=from_iso(get("issued_time", str)),
        expires_time=from_iso(get("expires_time", str)),
        keys={name: _from_base64(blob) for name, blob in get("keys", dict).items()},
        operators=_texts_by_name(get("operators", dict)),
        roles={name: _role(role) for name, role in get("roles", dict).items()},
        tls_anchors=tuple(map(_from_base64, get("tls_anchors", list))),
        server_names=_texts(get("server_names", list)),
        secret_keys=tuple(map(_secret_key, get("secret_keys", list))),
        ticket_floor_time=from_iso(get("ticket_floor_time", str)),
        minimum_agent=get("minimum_agent", str),
        server_addresses=tuple(map(_address, _optional(value, "server_addresses"))),
    )
    _check(document)
    return document


def _check(document: TrustDocument) -> None:
    """Refuse what could be read in two ways, or lets nobody or anybody in."""
    _require(is_fleet_id(document.fleet), "its fleet is none")
    _require(document.version >= 1, "its version is less than 1")
    _require(document.issued_time < document.expires_time, "it ends before it begins")
    _require(bool(document.tls_anchors), "it names no TLS anchor")
    _require(0 < len(document.keys) <= KEY_LIMIT, f"it has no keys, or more than {KEY_LIMIT}")
    _require(document.keys.keys() == document.operators.keys(), "keys and operators differ")
    for fingerprint, blob in document.keys.items():
        found = key_fingerprint(blob)
        _require(found == fingerprint, f"the key under {fingerprint[:40]} is {found}")
    names = list(document.operators.values())
    _require(all(map(valid_operator_name, names)), "an operator's name is none")
    # A person with two keys could meet a threshold of two alone.
    _require(len(set(names)) == len(names), "an operator has two keys")
    _require("root" in document.roles, "it has no root role")
    _check_addresses(document.server_addresses)
    for name, role in document.roles.items():
        _check_role(document, name, role)


def _check_addresses(addresses: tuple[ServerAddress, ...]) -> None:
    _require(len(addresses) <= ADDRESS_LIMIT, f"it has more than {ADDRESS_LIMIT} addresses")
    _require(len(set(addresses)) == len(addresses), "it names an address twice")
    for one in addresses:
        ports = (one.main_port, one.bootstrap_port)
        _require(is_dialled_host(one.host), "a server's host is none")
        _require(all(0 < port <= PORT_LIMIT for port in ports), "a server's port is none")


def _check_role(document: TrustDocument, name: str, role: Role) -> None:
    _require(name in ROLES, f"the role {name[:40]!r} is unknown")
    distinct = set(role.fingerprints)
    _require(len(distinct) == len(role.fingerprints), f"the role {name} names a key twice")
    _require(distinct <= document.keys.keys(), f"the role {name} names an unknown key")
    _require(1 <= role.threshold <= len(distinct), f"the role {name} has an impossible threshold")


def _role(value: Json) -> Role:
    get = _getter(_typed(value, dict, "a role"))
    fingerprints = _texts(get("fingerprints", list))
    _require(all(map(is_fingerprint, fingerprints)), "a role names something else than keys")
    return Role(get("threshold", int), fingerprints)


def _secret_key(value: Json) -> SecretKey:
    get = _getter(_typed(value, dict, "a secret key"))
    return SecretKey(
        get("kid", str), _from_base64(get("public_key", str)), get("wrapped_hash", str)
    )


def _address(value: Json) -> ServerAddress:
    get = _getter(_typed(value, dict, "an address"))
    return ServerAddress(get("host", str), get("main_port", int), get("bootstrap_port", int))


def _addresses_words(addresses: tuple[ServerAddress, ...]) -> dict[str, Json]:
    """Return the field; a document without it is the same, byte for byte, as before it existed."""
    return {"server_addresses": [asdict(one) for one in addresses]} if addresses else {}


def _optional(value: dict[str, Json], name: str) -> list[Json]:
    return _typed(value.get(name, []), list, name)


def _getter(value: dict[str, Json]) -> Callable[[str, type[_T]], _T]:
    def get(name: str, kind: type[_T]) -> _T:
        return _typed(value.get(name), kind, name)

    return get


def _typed(value: Any, kind: type[_T], name: str) -> _T:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _bad(f"{name} is missing or of the wrong type")
    return value


def _texts(values: list[Json]) -> tuple[str, ...]:
    return tuple(_typed(value, str, "a text") for value in values)


def _texts_by_name(values: dict[str, Json]) -> dict[str, str]:
    return {name: _typed(value, str, name) for name, value in values.items()}


def _to_base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _from_base64(value: Json) -> bytes:
    try:
        return base64.b64decode(_typed(value, str, "a key"), validate=True)
    except (binascii.Error, ValueError):
        raise _bad("a key is not base64") from None


def _require(good: bool, reason: str) -> None:  # noqa: FBT001 -- reads as a sentence
    if not good:
        raise _bad(reason)


def _bad(reason: str) -> InvalidInput:
    return InvalidInput(f"the trust document is malformed: {reason}", code="bad-trust-document")
