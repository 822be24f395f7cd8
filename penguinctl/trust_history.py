"""What each version of the trust document changed, and who signed it, from what is held here."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from penguindome import trust
from penguindome.trust_difference import difference
from penguindome.trust_proposal import standing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.envelope import Envelope
    from penguindome.trust import TrustDocument

FIRST = "The first version that is held here; its hash was pinned."


@dataclass(frozen=True, slots=True)
class Version:
    """One version.

    Attributes:
        document: What it says.
        hash: SHA-256 of its exact bytes.
        signed_by: Names of those whose signature counted, sorted.
        changes: What it changed, a sentence each.
    """

    document: TrustDocument
    hash: bytes
    signed_by: list[str]
    changes: list[str]


def history(envelopes: Sequence[Envelope]) -> list[Version]:
    """Return the versions, the newest first.

    Args:
        envelopes: Without gaps, oldest first; each was verified when it was stored.
    """
    if not envelopes:
        return []
    read = [(trust.from_payload(one.payload), one) for one in envelopes]
    first, envelope = read[0]
    found = [_version(first, first, envelope, [FIRST])]
    for (before, _), (document, one) in pairwise(read):
        found.append(_version(before, document, one, difference(before, document)))
    return found[::-1]


def _version(
    before: TrustDocument, document: TrustDocument, envelope: Envelope, changes: list[str]
) -> Version:
    names = {**before.operators, **document.operators}
    signed = standing(before, document, envelope).signed
    digest = trust.document_hash(envelope.payload)
    return Version(document, digest, sorted({names[one] for one in signed}), changes)
