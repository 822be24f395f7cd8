"""Write the next version of the trust document: pure changes, each of one thing.

`renewed` begins the next version; what follows changes it and may be combined in any order, since
only `trust_thresholds.checked` asks whether every role still has keys enough.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from penguindome.errors import AlreadyExists, InvalidInput, NotFound
from penguindome.names import valid_operator_name
from penguindome.openpgp import key_fingerprint
from penguindome.trust_document import ROLES, Role, ServerAddress, TrustDocument
from penguindome.trust_thresholds import checked, too_low

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

LIFETIME = timedelta(days=365)
_SECOND = timedelta(seconds=1)


def first_version(
    *,
    fleet: str,
    fingerprint: str,
    public_key: bytes,
    operator_name: str,
    tls_anchors: Sequence[bytes],
    server_names: Sequence[str],
    now: datetime,
) -> TrustDocument:
    """Return version 1 of a fleet with one operator, who has every role alone."""
    issued = now.replace(microsecond=0)
    role = Role(threshold=1, fingerprints=(fingerprint,))
    return TrustDocument(
        fleet=fleet,
        version=1,
        issued_time=issued,
        expires_time=issued + LIFETIME,
        keys={fingerprint: public_key},
        operators={fingerprint: operator_name},
        roles=dict.fromkeys(ROLES, role),
        tls_anchors=tuple(tls_anchors),
        server_names=tuple(server_names),
        secret_keys=(),
        ticket_floor_time=issued,
    )


def renewed(current: TrustDocument, now: datetime) -> TrustDocument:
    """Return the next version: the same in everything but its number and its times."""
    issued = max(now.replace(microsecond=0), current.issued_time)
    return replace(
        current,
        version=current.version + 1,
        issued_time=issued,
        expires_time=issued + LIFETIME,
    )


def joined(current: TrustDocument, name: str, public_key: bytes, now: datetime) -> TrustDocument:
    """Return the next version, in which a further operator has every role beside the others.

    Thresholds stay, except that two operators have to agree on a wipe.

    Args:
        current: The newest version.
        name: The operator's name.
        public_key: Their OpenPGP key, binary.
        now: The time.

    Raises:
        InvalidInput: The key cannot be used.
        AlreadyExists: The name or the key is in it already.
    """
    return with_operator(renewed(current, now), name, public_key)


def left(current: TrustDocument, name: str, now: datetime) -> TrustDocument:
    """Return the next version, in which an operator's signature counts no more.

    Raises:
        NotFound: No operator has that name.
        PreconditionFailed: A role would be left with fewer keys than its threshold.
    """
    return checked(without_operator(renewed(current, now), name))


def with_server(
    current: TrustDocument,
    now: datetime,
    *,
    anchors: Sequence[bytes] | None = None,
    addresses: Sequence[ServerAddress] | None = None,
) -> TrustDocument:
    """Return the next version, with other TLS anchors or addresses of the server.

    Args:
        current: The newest version.
        now: The time.
        anchors: Certificates (DER), the newest first; None leaves them as they are.
        addresses: The best first; None leaves them as they are. Their hosts are server names too.
    """
    kept = current.tls_anchors if anchors is None else tuple(anchors)
    where = current.server_addresses if addresses is None else tuple(addresses)
    names = dict.fromkeys((*current.server_names, *(one.host for one in where)))
    return replace(
        renewed(current, now),
        tls_anchors=kept,
        server_addresses=where,
        server_names=tuple(names),
    )


def with_operator(draft: TrustDocument, name: str, public_key: bytes) -> TrustDocument:
    """Return a draft in which a further operator has every role beside the others.

    Raises:
        InvalidInput: The key cannot be used, or the name is none.
        AlreadyExists: The name or the key is in it already.
    """
    fingerprint = _new_key(draft, name, public_key)
    if name in draft.operators.values():
        raise _known(name)
    if not valid_operator_name(name):
        raise InvalidInput("this is no name of an operator", subject=name)
    return replace(
        draft,
        keys={**draft.keys, fingerprint: public_key},
        operators={**draft.operators, fingerprint: name},
        roles={
            role: _held(role, held.threshold, (*held.fingerprints, fingerprint))
            for role, held in draft.roles.items()
        },
    )


def without_operator(draft: TrustDocument, name: str) -> TrustDocument:
    """Return a draft in which an operator's signature counts no more.

    Raises:
        NotFound: No operator has that name.
    """
    gone = fingerprint_of(draft, name)
    roles = {
        role: _held(role, held.threshold, [one for one in held.fingerprints if one != gone])
        for role, held in draft.roles.items()
    }
    return replace(
        draft,
        keys={one: key for one, key in draft.keys.items() if one != gone},
        operators={one: held for one, held in draft.operators.items() if one != gone},
        roles=roles,
    )


def with_key(draft: TrustDocument, name: str, public_key: bytes) -> TrustDocument:
    """Return a draft in which an operator has another key, in the same roles.

    Raises:
        InvalidInput: The key cannot be used.
        NotFound: No operator has that name.
        AlreadyExists: The key is in it already.
    """
    old, new = fingerprint_of(draft, name), _new_key(draft, name, public_key)

    def swapped(one: str) -> str:
        return new if one == old else one

    return replace(
        draft,
        keys={swapped(one): public_key if one == old else key for one, key in draft.keys.items()},
        operators={swapped(one): held for one, held in draft.operators.items()},
        roles={
            role: Role(held.threshold, tuple(map(swapped, held.fingerprints)))
            for role, held in draft.roles.items()
        },
    )


def with_threshold(draft: TrustDocument, role: str, threshold: int) -> TrustDocument:
    """Return a draft in which a role needs so many signatures.

    Raises:
        InvalidInput: There is no such role.
        NotFound: Nobody has the role.
    """
    held = _role(draft, role)
    if not held.fingerprints:
        raise NotFound("nobody has the role", subject=role)
    return _with_role(draft, role, replace(held, threshold=threshold))


def granted(draft: TrustDocument, role: str, name: str) -> TrustDocument:
    """Return a draft in which an operator has one more role.

    Raises:
        InvalidInput: There is no such role.
        NotFound: No operator has that name.
        AlreadyExists: The operator has it.
    """
    held, fingerprint = _role(draft, role), fingerprint_of(draft, name)
    if fingerprint in held.fingerprints:
        raise AlreadyExists(f"the operator has the role {role} already", subject=name)
    return _with_role(draft, role, Role(held.threshold, (*held.fingerprints, fingerprint)))


def denied(draft: TrustDocument, role: str, name: str) -> TrustDocument:
    """Return a draft in which an operator has one role less; nobody acts in one without keys.

    Raises:
        InvalidInput: There is no such role.
        NotFound: No operator has that name, or this one has not the role.
    """
    held, fingerprint = _role(draft, role), fingerprint_of(draft, name)
    if fingerprint not in held.fingerprints:
        raise NotFound(f"the operator has not the role {role}", subject=name)
    left_over = tuple(one for one in held.fingerprints if one != fingerprint)
    return _with_role(draft, role, Role(held.threshold, left_over))


def floored(draft: TrustDocument, now: datetime) -> TrustDocument:
    """Return a draft under which everything that was signed up to now is void."""
    after = now.replace(microsecond=0) + _SECOND
    return replace(draft, ticket_floor_time=max(after, draft.ticket_floor_time))


def recommended(draft: TrustDocument) -> TrustDocument:
    """Return a draft in which no role needs fewer signatures than is recommended."""
    for role, threshold in too_low(draft).items():
        draft = with_threshold(draft, role, threshold)
    return draft


def fingerprint_of(document: TrustDocument, name: str) -> str:
    """Return an operator's key.

    Raises:
        NotFound: No operator has that name.
    """
    for fingerprint, held in document.operators.items():
        if held == name:
            return fingerprint
    raise NotFound(
        "there is no such operator in the trust document",
        subject=name,
        remedy="`penguinctl trust show` lists them",
    )


def _new_key(draft: TrustDocument, name: str, public_key: bytes) -> str:
    fingerprint = key_fingerprint(public_key)
    if fingerprint in draft.keys:
        raise _known(name)
    return fingerprint


def _known(name: str) -> AlreadyExists:
    return AlreadyExists("the name or the key is in the trust document already", subject=name)


def _role(draft: TrustDocument, role: str) -> Role:
    if role not in ROLES:
        raise InvalidInput(
            "there is no such role", subject=role, remedy=f"There are: {', '.join(ROLES)}"
        )
    return draft.roles.get(role, Role(1, ()))


def _with_role(draft: TrustDocument, name: str, role: Role) -> TrustDocument:
    roles = {**draft.roles, name: role}
    if not role.fingerprints:
        del roles[name]
    return replace(draft, roles=roles)


def _held(name: str, threshold: int, fingerprints: Sequence[str]) -> Role:
    """Return a role; where there are two operators, neither wipes a device alone."""
    if name == "wipe":
        threshold = min(max(threshold, 2), max(len(fingerprints), 1))
    return Role(threshold, tuple(fingerprints))
