"""The fleet's trust document as the server keeps it: checked like a device would, never written.

Version 1 stands for itself, and only while there is none; every later version follows the root
rule, by the signatures that the version before and its own demand.

The newest version is looked up again after two seconds, so that several server processes agree
soon; this process knows its own at once.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from penguindome import trust as rules
from penguindome.errors import AlreadyExists, Forbidden, InvalidInput, PreconditionFailed
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penguind.store.trust import TrustStore
    from penguindome.envelope import Envelope
    from penguindome.trust import TrustDocument

log = logger("penguind.identity.trust")

_FRESH = timedelta(seconds=2)


class Trust:
    """The chain of trust documents. `published` is told each new version."""

    def __init__(
        self,
        store: TrustStore,
        fleet: str,
        clock: Callable[[], datetime],
        published: Sequence[Callable[[int], None]] = (),
    ) -> None:
        self._store = store
        self._fleet = fleet
        self._clock = clock
        self._published = published
        self._current: TrustDocument | None = None
        self._looked_time: datetime | None = None

    async def current(self) -> TrustDocument | None:
        """Return the newest version, None before the first operator made one."""
        now = self._clock()
        if self._looked_time is None or not now - _FRESH <= self._looked_time <= now:
            await self._look()
            self._looked_time = now
        return self._current

    async def _look(self) -> None:
        newest = await self._store.after(self._current.version if self._current else 0)
        if newest:
            self._current = rules.from_payload(newest[-1][1].payload)

    async def required(self) -> TrustDocument:
        """Return the newest version.

        Raises:
            PreconditionFailed: there is none yet.
        """
        document = await self.current()
        if document is None:
            raise PreconditionFailed(
                "the fleet has no trust document yet",
                code="no-trust",
                remedy="the first operator makes it: penguinctl init",
            )
        return document

    async def newest(self) -> tuple[TrustDocument, bytes]:
        """Return the newest version that is stored right now, and its payload's hash.

        Raises:
            PreconditionFailed: there is none yet.
        """
        await self._look()
        self._looked_time = self._clock()
        document = await self.required()
        chain = await self._store.after(document.version - 1)
        return document, rules.document_hash(chain[0][1].payload)

    def problems(self, now: datetime) -> list[str]:
        """Return what is not well with the newest document that was read, a sentence each."""
        document = self._current
        if document is None or document.expires_time - now >= rules.RENEW_BEFORE:
            return []
        verb = "ended" if document.expires_time <= now else "ends"
        end = f"{document.expires_time:%Y-%m-%d}"
        return [f"The trust document {verb} on {end}; renew it with penguinctl trust renew."]

    async def chain(self, after: int) -> list[tuple[int, Envelope]]:
        """Return versions and signed documents after a version, oldest first."""
        return await self._store.after(after)

    async def hash(self) -> bytes:
        """Return the newest document's hash, empty if there is none."""
        newest = await self._store.after(0)
        return rules.document_hash(newest[-1][1].payload) if newest else b""

    async def publish(self, version: int, envelope: Envelope) -> None:
        """Store the next version.

        Raises:
            Forbidden: the signatures do not suffice, or it is another fleet's.
            InvalidInput: it is not the version that the caller, and so the ledger, says.
            AlreadyExists: the version exists.
        """
        now = self._clock()
        await self._look()
        current = self._current
        document = await asyncio.to_thread(_checked, current, envelope, now)
        if document.fleet != self._fleet:
            raise Forbidden("the trust document is another fleet's", code="other-fleet")
        if document.version != version:
            raise InvalidInput(
                f"the trust document is version {document.version}, not {version}", subject="trust"
            )
        if not await self._store.insert(version, envelope):
            raise AlreadyExists(f"version {version} exists already", subject="trust")
        self._current = document
        log.info("Trust document {} is published", version)
        for told in self._published:
            told(version)


def _checked(current: TrustDocument | None, envelope: Envelope, now: datetime) -> TrustDocument:
    if current is None:
        pinned = rules.document_hash(envelope.payload)
        return rules.accept_first(envelope, pinned_hash=pinned, now=now)
    return rules.accept_next(current, envelope, now)
