"""What nobody should have to remember: authorities and the server's certificate before they end.

Device and operator authorities are replaced 60 days before their end, the server's own certificate
is renewed 30 days before, while the anchor's key is on this machine. What needs a person is
a problem that the server's status tells.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.identity import rotation
from penguind.identity.authority_files import certificate_fingerprint, newest
from penguind.identity.server_certificate import (
    RENEW_BEFORE,
    own_pairs,
    read_anchor_key,
    readable,
    renew_server_certificates,
)
from penguind.workers import heed_cancellation, keep_on
from penguindome.errors import PenguinDomeError
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime
    from pathlib import Path

    from penguind.identity.authority import Authority, Kind
    from penguind.identity.authority_files import Generation
    from penguind.ledger import Ledger

log = logger("penguind.identity.upkeep")

ACTOR = "server"
_PAUSE_SECONDS = 2.0
_LOOK_EVERY = timedelta(hours=1)
# Devices and operators need time to hear of a new anchor, some of them a year.
_ANCHOR_WARN_BEFORE = rotation.ANCHOR_OVERLAP


class Upkeep:
    """Looks once an hour by the server's clock, and takes changed files over every two seconds.

    Args:
        state_dir: the state folder.
        pairs: the files of the listeners' certificates and keys.
        authority: what issues.
        ledger: is told before anything changes.
        clock: the server's.
    """

    def __init__(
        self,
        state_dir: Path,
        pairs: Iterable[tuple[Path, Path]],
        authority: Authority,
        ledger: Ledger,
        clock: Callable[[], datetime],
    ) -> None:
        self._state_dir = state_dir
        self._pairs = own_pairs(state_dir, pairs)
        self._authority = authority
        self._ledger = ledger
        self._clock = clock
        self._looked_time: datetime | None = None

    async def run(self) -> None:
        """Keep looking."""
        await keep_on("renewing certificates", self._turn)

    async def look(self) -> None:
        """Do what is due now."""
        now = self._clock()
        for kind in self._authority.ending(now):
            await self._rotate(kind, now)
        await self._renew(now)
        for one in await asyncio.to_thread(rotation.tidy, self._state_dir, now):
            log.info("The {} authority {} has ended and is gone", one.kind, one.fingerprint[:16])
        self._looked_time = now

    def problems(self) -> list[str]:
        """Return what needs a person, a sentence each."""
        try:
            return self._found(self._clock(), newest(self._state_dir, "anchor"))
        except PenguinDomeError as error:
            # The status must tell of it rather than fail with it.
            return [f"The anchor cannot be looked at: {error.text()}."]

    def _found(self, now: datetime, anchor: Generation) -> list[str]:
        found = []
        if self._due(now) and not anchor.key_path.exists():
            found.append(
                "The server's certificate ends soon, and the anchor's key is not on this machine;"
                " renew it with penguind ca renew --anchor-key FILE."
            )
        end = anchor.facts.not_after
        if self._pairs and end - now < _ANCHOR_WARN_BEFORE:
            found.append(
                f"The server anchor ends on {end:%Y-%m-%d}, and devices need time to hear of"
                " a new one; run penguind ca rotate anchor."
            )
        return found

    async def _turn(self) -> None:
        await asyncio.to_thread(self._authority.refresh)
        now, looked = self._clock(), self._looked_time
        if looked is None or not looked <= now < looked + _LOOK_EVERY:
            await self.look()
        heed_cancellation()
        await asyncio.sleep(_PAUSE_SECONDS)

    async def _rotate(self, kind: Kind, now: datetime) -> None:
        key, pem = rotation.next_authority(self._state_dir, self._authority.fleet, kind, now)
        target = f"{kind}/{certificate_fingerprint(pem)}"
        await self._ledger.append(ACTOR, "authority.rotate", target, {"reason": "ends soon"})
        await asyncio.to_thread(rotation.install, self._state_dir, kind, key, pem)
        self._authority.refresh()
        log.info("A new {} authority issues from now on", kind)

    async def _renew(self, now: datetime) -> None:
        if not self._due(now) or not newest(self._state_dir, "anchor").key_path.exists():
            return
        await self._ledger.append(ACTOR, "server-certificate.renew", "server", {})
        key = read_anchor_key(self._state_dir)
        for path in await asyncio.to_thread(
            renew_server_certificates, self._state_dir, self._pairs, now, key
        ):
            log.info("The server's certificate is renewed: {}", path)

    def _due(self, now: datetime) -> bool:
        found = [readable(path) for path, _ in self._pairs]
        return any(one is not None and one.not_after - now < RENEW_BEFORE for one in found)
