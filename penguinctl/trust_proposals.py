"""The proposed trust document: fetched and verified here, signed here, handed in.

What the server says of a proposal counts for nothing: whether the bytes continue the document that
this operator holds, whether all of them can be shown, and who signed them, is found out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguinctl import wire
from penguinctl.envelopes import from_message, to_message
from penguinctl.exits import NotVerified
from penguindome import trust
from penguindome.errors import Forbidden, InvalidInput, NotFound
from penguindome.trust_difference import check_wholly_known, difference
from penguindome.trust_proposal import Standing, standing

if TYPE_CHECKING:
    from datetime import datetime

    from penguinctl.session import Session
    from penguindome.envelope import Envelope
    from penguindome.trust import TrustDocument
    from penguindome.v1 import trust_pb2


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal that continues the newest document held.

    Attributes:
        current: The document that it continues.
        document: What it would be.
        envelope: The exact bytes, and signatures.
        standing: Who signed, as verified here.
        proposed_by: Who handed it in; the server's word.
        proposed_unix_ms: When; the server's word.
    """

    current: TrustDocument
    document: TrustDocument
    envelope: Envelope
    standing: Standing
    proposed_by: str
    proposed_unix_ms: int

    @property
    def hash(self) -> bytes:
        """Return the SHA-256 of the exact bytes."""
        return trust.document_hash(self.envelope.payload)

    @property
    def changes(self) -> list[str]:
        """Return everything that it changes, a sentence each."""
        return difference(self.current, self.document)

    def name(self, fingerprint: str) -> str:
        """Return whose key it is, by either document."""
        known = {**self.current.operators, **self.document.operators}
        return known[fingerprint]

    @property
    def signed_by(self) -> list[str]:
        """Return the names of those whose signature counts, sorted."""
        return sorted({self.name(one) for one in self.standing.signed})

    @property
    def may_sign(self) -> list[str]:
        """Return the names of those whose signature would still help, sorted."""
        return sorted({self.name(one) for one in self.standing.helpful()})


def fetch(session: Session) -> trust_pb2.TrustProposal | None:
    """Return the server's proposal, not verified."""
    answer: trust_pb2.GetProposalResponse = session.call(
        "trust.GetProposal", wire.trust_pb2.GetProposalRequest()
    )
    return answer.proposal if answer.HasField("proposal") else None


def find(session: Session, current: TrustDocument, now: datetime) -> Proposed | None:
    """Return the server's proposal, verified; None if there is none.

    Raises:
        NotVerified: It does not continue the current document, or cannot be shown whole.
    """
    message = fetch(session)
    return None if message is None else verified(message, current, now)


def required(session: Session, current: TrustDocument, now: datetime) -> Proposed:
    """Return what `find` does.

    Raises:
        NotFound: Nothing is proposed.
        NotVerified: As `find`.
    """
    found = find(session, current, now)
    if found is None:
        raise nothing_proposed()
    return found


def nothing_proposed() -> NotFound:
    """Return the error for acting on a proposal where there is none."""
    return NotFound(
        "no trust document is proposed",
        subject="trust",
        remedy="It may be published or withdrawn: see `penguinctl trust history`. Make one with"
        " `penguinctl trust propose`",
    )


def verified(message: trust_pb2.TrustProposal, current: TrustDocument, now: datetime) -> Proposed:
    """Return a proposal that continues the current document, and of which everything can be shown.

    Raises:
        NotVerified: It does not, or says more than this program knows.
    """
    envelope = from_message(message.envelope)
    try:
        document = trust.proposed_next(current, envelope, now)
        check_wholly_known(envelope.payload)
    except (Forbidden, InvalidInput) as error:
        raise NotVerified(
            f"the proposed trust document cannot be signed: {error.reason}",
            subject="trust",
            code="proposal-not-verified",
            remedy=error.remedy
            or "Nothing was signed; ask who proposed it, or withdraw it with"
            " `penguinctl trust withdraw`",
        ) from error
    return Proposed(
        current=current,
        document=document,
        envelope=envelope,
        standing=standing(current, document, envelope),
        proposed_by=message.proposed_by,
        proposed_unix_ms=message.proposed_unix_ms,
    )


def propose(
    session: Session, base: bytes, current: TrustDocument, envelope: Envelope, now: datetime
) -> Proposed:
    """Hand in a proposal; return it as the server holds it, verified again.

    Args:
        session: The connection.
        base: The hash of the current document's bytes.
        current: The document that it continues.
        envelope: The signed bytes.
        now: The time.
    """
    version = trust.from_payload(envelope.payload).version
    document = wire.envelope_pb2.TrustDocument(version=version, envelope=to_message(envelope))
    request = wire.trust_pb2.ProposeTrustRequest(document=document, base_sha256=base)
    answer: trust_pb2.ProposeTrustResponse = session.call("trust.ProposeTrust", request)
    return _same(verified(answer.proposal, current, now), envelope.payload)


def sign(session: Session, found: Proposed, signature: bytes, now: datetime) -> Proposed:
    """Hand in a signature; return the proposal as the server holds it, verified again."""
    request = wire.trust_pb2.SignProposalRequest(
        version=found.document.version, payload_sha256=found.hash, signature=signature
    )
    answer: trust_pb2.SignProposalResponse = session.call("trust.SignProposal", request)
    return _same(verified(answer.proposal, found.current, now), found.envelope.payload)


def withdraw(session: Session, message: trust_pb2.TrustProposal, reason: str) -> None:
    """Have a proposal thrown away, whatever it says."""
    request = wire.trust_pb2.WithdrawProposalRequest(
        version=message.version,
        payload_sha256=trust.document_hash(message.envelope.payload),
        reason=reason,
    )
    session.call("trust.WithdrawProposal", request)


def check_unchanged(session: Session, found: Proposed) -> None:
    """Check that the server still has the bytes that were shown.

    Raises:
        NotVerified: It has other ones, or none.
    """
    message = fetch(session)
    if message is None or message.envelope.payload != found.envelope.payload:
        raise _changed("Nothing was signed: look at it again with `penguinctl trust sign`")


def _same(found: Proposed, payload: bytes) -> Proposed:
    if found.envelope.payload != payload:
        raise _changed(
            "The server keeps something else than what you signed: see `penguinctl trust show`"
        )
    return found


def _changed(remedy: str) -> NotVerified:
    return NotVerified(
        "the proposal is not the one that you were shown: the server has another one now",
        subject="trust",
        code="proposal-changed",
        remedy=remedy,
    )
