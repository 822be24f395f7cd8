"""Fetch newer trust documents because of an order that the present one does not bear out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.clock import boottime
from penguin_agent.trust_update import update_trust
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguin_agent.clock import DeviceClock
    from penguin_agent.identity import Device
    from penguin_agent.trust_store import TrustStore

log = Logger(__name__)

# However many such orders a server sends.
PAUSE_SECONDS = 10.0


class TrustRenewal:
    """Fetches at most so often.

    Args:
        store: Keeps documents.
        device: Whose they are.
        clock: The device's.
        steady: Seconds that never jump.
    """

    def __init__(
        self,
        store: TrustStore,
        device: Device,
        clock: DeviceClock,
        steady: Callable[[], float] = boottime,
    ) -> None:
        self._store = store
        self._device = device
        self._clock = clock
        self._steady = steady
        self._lock = asyncio.Lock()
        self._not_before = 0.0

    async def renew(self, version: int) -> bool:
        """Tell whether a newer document than `version` is held, once the server was asked."""
        async with self._lock:
            if self._steady() >= self._not_before and self._version() <= version:
                try:
                    await update_trust(self._store, self._device, self._clock.now())
                except PenguinDomeError as error:
                    log.info("No newer trust document for an order: {}", error)
                self._not_before = self._steady() + PAUSE_SECONDS
            return self._version() > version

    def _version(self) -> int:
        document = self._store.newest()
        return document.version if document is not None else 0
