"""Retention: deletes what the settings call old, in small steps, so that nothing waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from penguind.domain.retention import KINDS
from penguind.workers import heed_cancellation, keep_on
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from penguind.config_keeping import RetentionSettings
    from penguind.domain.retention import Kind
    from penguind.store.retention import OldThings

log = logger("penguind.retention")

_FIRST_SECONDS = 60.0
_ROUND_SECONDS = 3600.0
#: Between two batches, so that a backlog of years costs a small share of the database's time.
_REST_SECONDS = 0.2


class Retention:
    """Deletes old things; its `run` has to run.

    Args:
        old: where they are kept.
        settings: what is old.
        clock: the time.
    """

    def __init__(
        self, old: OldThings, settings: RetentionSettings, clock: Callable[[], datetime]
    ) -> None:
        self._old = old
        self._settings = settings
        self._clock = clock

    async def run(self) -> NoReturn:
        """Work until cancelled: a minute after the start, then each hour."""
        await asyncio.sleep(_FIRST_SECONDS)
        await keep_on("deleting what is old", self._turn)

    async def sweep(self) -> dict[str, int]:
        """Delete all that is old now; returns how many, by collection.

        Raises:
            Unavailable: the database is away; a later sweep goes on.
        """
        deleted: dict[str, int] = {}
        for kind in KINDS:
            span = self._settings[kind.setting]
            if span is None:
                continue
            count = await self._sweep(kind, self._clock() - span)
            if count:
                deleted[kind.collection] = count
                log.info("Deleted {} of {}, older than {} days", count, kind.collection, span.days)
        return deleted

    async def _turn(self) -> None:
        await self.sweep()
        await asyncio.sleep(_ROUND_SECONDS)

    async def _sweep(self, kind: Kind, before: datetime) -> int:
        count = 0
        while some := await self._old.delete_some(kind, before):
            count += some
            await asyncio.sleep(_REST_SECONDS)
            heed_cancellation()
        return count
