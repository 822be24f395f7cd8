"""A proposed version of the trust document, which waits for signatures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.trust_document import document_hash

if TYPE_CHECKING:
    from datetime import datetime

    from penguindome.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Proposal:
    """Hold exact bytes, and the good signatures that they have so far.

    Attributes:
        version: The version that it would be.
        base: SHA-256 of the payload of the version that it follows.
        envelope: The bytes; of each signature, who made it stands in `signers` at the same place.
        signers: Fingerprints, each once.
        proposed_by: The operator who handed it in.
        proposed_time: When.
    """

    version: int
    base: bytes
    envelope: Envelope
    signers: tuple[str, ...]
    proposed_by: str
    proposed_time: datetime

    @property
    def hash(self) -> bytes:
        """Return the SHA-256 of the exact payload bytes."""
        return document_hash(self.envelope.payload)
