"""Decide which trust document to believe: TUF's root rule.

1. The first one is believed by its hash, which came with a token. 2. Each further one is signed by
the threshold of the old root role and 3. by the threshold of its own, 4. is the old version plus
one, 5. for the same fleet, 6. issued no earlier, and 7. never un-voids what was voided.
Source: https://theupdateframework.github.io/specification/v1.0.33 §5.3.
"""

from __future__ import annotations

import hmac
from datetime import timedelta
from typing import TYPE_CHECKING, NoReturn

from penguindome.envelope import Envelope, check_signed, check_sizes
from penguindome.errors import Forbidden, InvalidInput
from penguindome.trust_changes import first_version, joined, left, renewed, with_server
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
    "check_follows",
    "document_hash",
    "first_version",
    "from_payload",
    "joined",
    "left",
    "proposed_next",
    "renewed",
    "replay",
    "to_payload",
    "with_server",
]

KIND = "trust"
# Operators are told this long before; each may be away for some weeks.
RENEW_BEFORE = timedelta(days=60)
# A clock further behind than this cannot judge what it is shown.
FUTURE_TOLERANCE = timedelta(days=1)


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
    check_follows(current, document, now)
    return document


def proposed_next(current: TrustDocument, envelope: Envelope, now: datetime) -> TrustDocument:
    """Return the document that would follow the current one, if it were signed by enough.

    Trust: whoever hands it in could have written it; signatures are not looked at.

    Raises:
        Forbidden: As `accept_next`, but for `not-signed`.
    """
    _check_kind(envelope)
    document = _read(envelope)
    check_follows(current, document, now)
    return document


def check_follows(current: TrustDocument, document: TrustDocument, now: datetime) -> None:
    """Check what a document has to be to follow the current one, but for signatures (4 to 7).

    Raises:
        Forbidden: wrong-fleet, wrong-version, trust-rollback or trust-from-future.
    """
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
