"""Decide which trust document to believe: TUF's root rule.

1. The first one is believed by its hash, which came with a token. 2. Each further one is signed by
the threshold of the old root role and 3. by the threshold of its own, 4. is the old version plus
one, 5. for the same fleet, 6. issued no earlier, and 7. never un-voids what was voided.
Source: https://theupdateframework.github.io/specification/v1.0.33 §5.3.
"""

from __future__ import annotations

import hmac
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from penguindome.envelope import Envelope, check_signed, check_sizes
from penguindome.errors import (
    AlreadyExists,
    Forbidden,
    InvalidInput,
    NotFound,
    PreconditionFailed,
)
from penguindome.openpgp import key_fingerprint
from penguindome.trust_document import (
    ROLES,
    Role,
    SecretKey,
    ServerAddress,
    TrustDocument,
    document_hash,
    from_payload,
    to_payload,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

__all__ = [
    "KIND",
    "ROLES",
    "Role",
    "SecretKey",
    "ServerAddress",
    "TrustDocument",
    "accept_first",
    "accept_next",
    "document_hash",
    "first_version",
    "from_payload",
    "joined",
    "left",
    "renewed",
    "replay",
    "to_payload",
    "with_server",
]

KIND = "trust"
LIFETIME = timedelta(days=365)
# Operators are told this long before; each may be away for some weeks.
RENEW_BEFORE = timedelta(days=60)
# A clock further behind than this cannot judge what it is shown.
FUTURE_TOLERANCE = timedelta(days=1)


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
    fingerprint = key_fingerprint(public_key)
    if fingerprint in current.keys or name in current.operators.values():
        raise AlreadyExists("the name or the key is in the trust document already", subject=name)
    return replace(
        renewed(current, now),
        keys={**current.keys, fingerprint: public_key},
        operators={**current.operators, fingerprint: name},
        roles={
            role: _held(role, held.threshold, (*held.fingerprints, fingerprint))
            for role, held in current.roles.items()
        },
    )


def left(current: TrustDocument, name: str, now: datetime) -> TrustDocument:
    """Return the next version, in which an operator's signature counts no more.

    Raises:
        NotFound: No operator has that name.
        PreconditionFailed: A role would be left with fewer keys than its threshold.
    """
    gone = {fingerprint for fingerprint, held in current.operators.items() if held == name}
    if not gone:
        raise NotFound("there is no such operator in the trust document", subject=name)
    roles = {
        role: _held(role, held.threshold, [one for one in held.fingerprints if one not in gone])
        for role, held in current.roles.items()
    }
    short = sorted(role for role, held in roles.items() if len(held.fingerprints) < held.threshold)
    if short:
        raise PreconditionFailed(
            f"too few operators would be left for {', '.join(short)}",
            subject=name,
            remedy="Add another operator first",
        )
    return replace(
        renewed(current, now),
        keys={one: key for one, key in current.keys.items() if one not in gone},
        operators={one: held for one, held in current.operators.items() if one not in gone},
        roles=roles,
    )


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


def _held(name: str, threshold: int, fingerprints: Sequence[str]) -> Role:
    """Return a role; where there are two operators, neither wipes a device alone."""
    if name == "wipe":
        threshold = min(max(threshold, 2), max(len(fingerprints), 1))
    return Role(threshold, tuple(fingerprints))


def accept_first(envelope: Envelope, *, pinned_hash: bytes, now: datetime) -> TrustDocument:
    """Return the document that a token pinned.

    Raises:
        Forbidden: It is another one (`trust-mismatch`), not signed by its own roots, or from the
            future (`trust-from-future`).
    """
    _check_kind(envelope)
    if not hmac.compare_digest(document_hash(envelope.payload), pinned_hash):
        _refuse("trust-mismatch", "it is not the one that the token names")
    document = _read(envelope)
    check_signed(envelope, document, "root")
    _check_not_future(document, now)
    return document


def accept_next(current: TrustDocument, envelope: Envelope, now: datetime) -> TrustDocument:
    """Return the document that follows the current one.

    Raises:
        Forbidden: A rule is broken; the code names it: bad-envelope, not-signed, bad-payload,
            wrong-fleet, wrong-version, trust-rollback or trust-from-future.
    """
    _check_kind(envelope)
    check_signed(envelope, current, "root")
    document = _read(envelope)
    check_signed(envelope, document, "root")
    if document.fleet != current.fleet:
        _refuse("wrong-fleet", "it is another fleet's")
    if document.version != current.version + 1:
        _refuse(
            "wrong-version",
            f"version {current.version + 1} has to follow, it is {document.version}",
        )
    if document.issued_time < current.issued_time:
        _refuse("trust-rollback", "it was issued before the current one")
    if document.ticket_floor_time < current.ticket_floor_time:
        _refuse("trust-rollback", "it would make void orders valid again")
    _check_not_future(document, now)
    return document


def replay(
    documents: Sequence[Envelope],
    *,
    current: TrustDocument | None,
    pinned_hash: bytes,
    now: datetime,
) -> TrustDocument:
    """Return the newest document of a chain, each believed by the one before it.

    Args:
        documents: Oldest first. Without a current document those before the pinned one are passed
            over; with one, the first has to follow it.
        current: The newest document that is believed already.
        pinned_hash: The hash that came with a token; used only without a current document.
        now: The time.

    Raises:
        Forbidden: As `accept_first` and `accept_next`; nothing of the chain counts then.
    """
    rest = list(documents)
    if current is None:
        while rest and document_hash(rest[0].payload) != pinned_hash:
            rest.pop(0)
        if not rest:
            _refuse("trust-mismatch", "the one that the token names is not among those served")
        current = accept_first(rest.pop(0), pinned_hash=pinned_hash, now=now)
    for envelope in rest:
        current = accept_next(current, envelope, now)
    return current


def _check_kind(envelope: Envelope) -> None:
    check_sizes(envelope)
    if envelope.kind != KIND:
        _refuse("wrong-kind", f"its envelope is marked {envelope.kind}")


def _read(envelope: Envelope) -> TrustDocument:
    try:
        return from_payload(envelope.payload)
    except InvalidInput as error:
        raise Forbidden(error.reason, code="bad-payload") from None


def _check_not_future(document: TrustDocument, now: datetime) -> None:
    if document.issued_time > now + FUTURE_TOLERANCE:
        _refuse("trust-from-future", "it was issued in the future; check this machine's clock")


def _refuse(code: str, reason: str) -> NoReturn:
    raise Forbidden(f"the trust document is refused: {reason}", code=code)
