"""Proposed trust documents: kept until enough operators signed the same bytes.

1. A proposal follows the newest version by every rule but the thresholds. 2. It has at least one
good signature by a key of the old root role or of its own, so that nobody else fills the place.
3. Each signature is verified over the exact bytes, alone, and a signer counts once. 4. Signing and
withdrawing name the bytes by their hash. 5. Another proposal takes its place only from the same
base. What makes a version count is the rule that devices check too, at publishing.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from penguind.domain.trust_proposal import Proposal
from penguindome import trust as rules
from penguindome.errors import InvalidInput, LimitExceeded, NotFound, PreconditionFailed
from penguindome.logs import logger
from penguindome.trust_proposal import signer_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from penguind.identity.trust import Trust
    from penguind.store.trust_proposals import TrustProposalStore
    from penguindome.envelope import Envelope
    from penguindome.trust import TrustDocument

log = logger("penguind.identity.trust_proposals")

REASON_LIMIT = 500


class TrustProposals:
    """What is proposed as the next version of the trust document."""

    def __init__(
        self, store: TrustProposalStore, trust: Trust, clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._trust = trust
        self._clock = clock

    async def get(self) -> Proposal | None:
        """Return the proposal of the next version; one that was made for another base is none."""
        current, base = await self._trust.newest()
        found = await self._store.get(current.version + 1)
        return found if found is not None and found.base == base else None

    async def propose(self, version: int, base: bytes, envelope: Envelope, by: str) -> Proposal:
        """Keep a proposal; the same bytes again add their signatures.

        Args:
            version: What the caller, and so the ledger, says that it is.
            base: SHA-256 of the payload of the version that the caller continued.
            envelope: The signed bytes.
            by: The operator who hands it in.

        Raises:
            Forbidden: It cannot follow the newest version, or no signature counts.
            InvalidInput: It is not the version that the caller says.
            PreconditionFailed: The caller continued another version, or a proposal of that number
                was made from another one.
        """
        current, held_base = await self._trust.newest()
        if base != held_base:
            raise _other_base(current.version)
        now = self._clock()
        document = rules.proposed_next(current, envelope, now)
        if document.version != version:
            raise InvalidInput(
                f"the trust document is version {document.version}, not {version}", subject="trust"
            )
        good = await asyncio.to_thread(_good, current, document, envelope)
        found = await self._store.get(version)
        if found is not None and found.base == base and found.envelope.payload == envelope.payload:
            for signer, signature in good.items():
                await self._store.sign(version, found.hash, signer, signature)
            return await self._required(version, found.hash)
        kept = replace(envelope, signatures=tuple(good.values()))
        proposal = Proposal(version, base, kept, tuple(good), by, now)
        if not await self._store.put(proposal):
            raise PreconditionFailed(
                "a proposal of this version was made from another one",
                code="wrong-base",
                subject="trust",
                remedy="Ask the server's administrator if the database was restored",
            )
        log.info("Trust document {} is proposed by {}", version, by)
        return proposal

    async def sign(self, version: int, payload_hash: bytes, signature: bytes) -> Proposal:
        """Add one signature; one by the same key again changes nothing.

        Raises:
            NotFound: There is no such proposal.
            PreconditionFailed: The proposal has other bytes than those that were signed.
            Forbidden: The signature is not good, or its key has neither root role.
            LimitExceeded: The proposal has as many signatures as an envelope can hold.
        """
        current, _ = await self._trust.newest()
        found = await self._required(version, payload_hash)
        document = rules.from_payload(found.envelope.payload)
        signer = await asyncio.to_thread(signer_of, current, document, found.envelope, signature)
        if signer in found.signers:
            return found
        signed = await self._store.sign(version, payload_hash, signer, signature)
        if signed is not None:
            return signed
        again = await self._required(version, payload_hash)
        if signer in again.signers:
            return again
        raise LimitExceeded("the proposal cannot hold more signatures", subject="trust")

    async def withdraw(self, version: int, payload_hash: bytes, reason: str) -> None:
        """Throw a proposal away.

        Raises:
            InvalidInput: The reason is missing or too long.
            NotFound: There is no such proposal.
            PreconditionFailed: The proposal has other bytes.
        """
        if not 0 < len(reason.strip()) <= REASON_LIMIT:
            raise InvalidInput(
                "the reason is missing or too long",
                subject="trust",
                remedy=f"Say why, in at most {REASON_LIMIT} characters",
            )
        await self._required(version, payload_hash)
        await self._store.remove(version, payload_hash)
        log.info("The proposed trust document {} is withdrawn", version)

    async def settle(self, version: int) -> None:
        """Forget proposals of a version that is published, and of those before it."""
        await self._store.remove_until(version)

    async def _required(self, version: int, payload_hash: bytes) -> Proposal:
        found = await self.get()
        if found is None or found.version != version:
            raise NotFound(
                f"no version {version} is proposed",
                subject="trust",
                remedy="It may have been published or withdrawn: see `penguinctl trust show`",
            )
        if found.hash != payload_hash:
            raise PreconditionFailed(
                "the proposal is not the one that you saw: another one took its place",
                code="proposal-changed",
                subject="trust",
                remedy="Look at it again: penguinctl trust sign",
            )
        return found


def _good(current: TrustDocument, document: TrustDocument, envelope: Envelope) -> dict[str, bytes]:
    """Return the signatures by who made them, in their order; each has to count."""
    found: dict[str, bytes] = {}
    for signature in envelope.signatures:
        found.setdefault(signer_of(current, document, envelope, signature), signature)
    if not found:
        # The error for one that is not good.
        signer_of(current, document, envelope, b"")
    return found


def _other_base(version: int) -> PreconditionFailed:
    return PreconditionFailed(
        f"the newest version is {version}, and the proposal does not continue that",
        code="wrong-base",
        subject="trust",
        remedy="Make the proposal again, from the newest version",
    )
