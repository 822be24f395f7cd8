"""Say how far a proposed trust document is: who signed it, and whose signatures it lacks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from penguindome.envelope import Envelope, signers
from penguindome.errors import Forbidden

if TYPE_CHECKING:
    from penguindome.trust_document import Role, TrustDocument

ROLE = "root"


@dataclass(frozen=True, slots=True)
class Standing:
    """Count good signatures of two root roles: the old document's, and the proposed one's own.

    Attributes:
        old: The root role of the document that the proposal follows.
        new: The root role of the proposal.
        by_old: Fingerprints of keys in the old role whose signature is good, as that document has
            the key.
        by_new: The same of its own role; a key that is in both may have been exported anew.
    """

    old: Role
    new: Role
    by_old: frozenset[str]
    by_new: frozenset[str]

    @property
    def signed(self) -> frozenset[str]:
        """Return the keys whose signature counts for either role."""
        return self.by_old | self.by_new

    @property
    def lacking_old(self) -> int:
        """Return how many signatures by the old role's keys are lacking."""
        return max(0, self.old.threshold - len(self.by_old))

    @property
    def lacking_new(self) -> int:
        """Return how many signatures by its own root role's keys are lacking."""
        return max(0, self.new.threshold - len(self.by_new))

    @property
    def complete(self) -> bool:
        """Tell whether it can be published."""
        return self.lacking_old == self.lacking_new == 0

    def helpful(self) -> list[str]:
        """Return the keys whose signature would still count, sorted."""
        old = set(self.old.fingerprints) if self.lacking_old else set[str]()
        new = set(self.new.fingerprints) if self.lacking_new else set[str]()
        return sorted((old | new) - self.signed)


def standing(current: TrustDocument, proposed: TrustDocument, envelope: Envelope) -> Standing:
    """Verify a proposal's signatures, and say how far it is.

    Args:
        current: The newest version.
        proposed: What the envelope's payload says.
        envelope: The exact bytes, and signatures of which some may be good.
    """
    return Standing(
        old=current.roles[ROLE],
        new=proposed.roles[ROLE],
        by_old=signers(envelope, current, ROLE),
        by_new=signers(envelope, proposed, ROLE),
    )


def signer_of(
    current: TrustDocument, proposed: TrustDocument, envelope: Envelope, signature: bytes
) -> str:
    """Return whose signature on a proposal's bytes this is.

    Raises:
        Forbidden: `not-signed`: It is not good, or by no key of either root role.
    """
    one = replace(envelope, signatures=(signature,))
    found = signers(one, current, ROLE) | signers(one, proposed, ROLE)
    if not found:
        raise Forbidden(
            "the signature does not count: it is not good, or its key has not the root role",
            code="not-signed",
            remedy="Sign the proposal as it is now: penguinctl trust sign",
        )
    return next(iter(found))
