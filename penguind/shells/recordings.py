"""Take recordings in from devices, and hand them out to those who watch, play or verify."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from penguindome.errors import Forbidden, InvalidInput
from penguindome.shell.transcript import PIECE_LIMIT_BYTES, open_checkpoint

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from penguind.domain.order import Target
    from penguind.identity.identities import Identities
    from penguind.identity.key_history import KeyHistory
    from penguind.orders.hub import Hub
    from penguind.store.order_targets import OrderTargetStore
    from penguind.store.transcripts import TranscriptStore
    from penguindome.shell.transcript import Checkpoint, Piece
    from penguindome.times import Clock

LOOK_SECONDS = 1.0
# A sealed piece is larger than what it holds, by the keys and some bytes.
_SEALED_EXTRA_BYTES = 64 * 1024
# Sessions whose pieces are taken without asking the database whose they are.
_KNOWN = 256


class Recordings:
    """Recordings of sessions.

    Args:
        transcripts: where pieces are.
        targets: which sessions are whose.
        identities: know devices' keys.
        history: knows those that they had before.
        hub: wakes those who follow a session.
        fleet: this fleet's id.
        clock: tells the time.
    """

    def __init__(
        self,
        *,
        transcripts: TranscriptStore,
        targets: OrderTargetStore,
        identities: Identities,
        history: KeyHistory,
        hub: Hub,
        fleet: str,
        clock: Clock,
    ) -> None:
        self._transcripts = transcripts
        self._targets = targets
        self._identities = identities
        self._history = history
        self._hub = hub
        self._fleet = fleet
        self._clock = clock
        self._known: dict[tuple[str, str], Target] = {}

    async def take(self, device_id: str, order_id: str, number: int, piece: Piece) -> bool:
        """Store a piece of the device's own session; False if there is no such session.

        Raises:
            InvalidInput: It is too large, or its checkpoint is another's.
            Forbidden: Its checkpoint is not signed by a key that the device had by then.
        """
        target = await self._session(order_id, device_id)
        if target is None:
            return False
        limit = PIECE_LIMIT_BYTES + (_SEALED_EXTRA_BYTES if piece.is_sealed else 0)
        if len(piece.data) > limit:
            raise InvalidInput(f"a piece has more than {limit} bytes", code="bad-piece")
        checkpoint = await self._signed(target, piece)
        said = (checkpoint.fleet, checkpoint.device_id, checkpoint.order_id, checkpoint.number)
        if said != (self._fleet, device_id, order_id, number):
            raise InvalidInput("the checkpoint is another piece's", code="bad-checkpoint")
        await self._transcripts.add(order_id, number, piece, self._clock(), final=checkpoint.final)
        self._hub.changed([_growth(order_id)])
        return True

    async def _session(self, order_id: str, device_id: str) -> Target | None:
        """Return a device's own session as it was once: whose it is never changes."""
        known = self._known.get((order_id, device_id))
        if known is not None:
            return known
        target = await self._targets.get(order_id, device_id)
        if target is None or target.kind != "shell":
            return None
        if len(self._known) >= _KNOWN:
            self._known.clear()
        self._known[order_id, device_id] = target
        return target

    async def _signed(self, target: Target, piece: Piece) -> Checkpoint:
        """Return a piece's checkpoint, by the present key or one that it had during the session.

        What was recorded before a renewal may be handed in after it.
        """
        identity = await self._identities.get("device", target.device_id)
        if identity is None:
            raise Forbidden("the device is unknown", code="unknown-device")
        with contextlib.suppress(Forbidden):
            return open_checkpoint(piece.checkpoint, piece.signature, identity.spki)
        present = [key for key in (identity.pending_spki, identity.spki) if key]
        since = target.expires_time
        for key in await self._history.keys_since(target.device_id, present, since):
            with contextlib.suppress(Forbidden):
                return open_checkpoint(piece.checkpoint, piece.signature, key)
        raise Forbidden("its checkpoint is not signed by the device", code="bad-checkpoint")

    async def read(
        self, order_id: str, device_id: str, number: int, *, follow: bool
    ) -> AsyncIterator[tuple[int, Piece]]:
        """Return pieces from a number on; with `follow` until the last one, or the session's end.

        A piece that is missing in between ends what can be followed.
        """
        with self._hub.watching(order_id, _growth(order_id)) as changed:
            while True:
                changed.clear()
                # Looked up before the pieces: what comes at the very end is read once more.
                target = await self._targets.get(order_id, device_id)
                async for found, piece in self._transcripts.read(order_id, number):
                    yield found, piece
                    number = found + 1
                if not follow or target is None or target.is_final:
                    return
                try:
                    async with asyncio.timeout(LOOK_SECONDS):
                        await changed.wait()
                except TimeoutError:
                    continue


def _growth(order_id: str) -> str:
    """Return what those watch who follow a recording, apart from what becomes of its order."""
    return f"recording of {order_id}"
