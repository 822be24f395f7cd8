"""Contents in and out: to operators by their hash, to devices by an order that names them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING

from penguindome.errors import Forbidden, InvalidInput, LimitExceeded, PreconditionFailed
from penguindome.orders.bodies import PatchBody, patch_body
from penguindome.orders.manifest import FILE_LIMIT_BYTES, FILES_LIMIT
from penguindome.orders.release_body import ReleaseBody, release_body
from penguindome.payload import read_payload

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from datetime import datetime

    from penguind.domain.order import Order
    from penguind.store.blobs import BlobStore, Upload
    from penguind.store.order_targets import OrderTargetStore
    from penguind.store.orders import OrderStore
    from penguindome.orders.opening import Body

_KNOWN_ORDERS = 64
# An upload holds one piece in memory; whoever wants more at once has to wait.
_UPLOADS = 32
# An agent opens two streams at a time; those of a lost connection may linger for a while.
_STREAMS_PER_DEVICE = 4
_WAITING_PER_DEVICE = 16
# Pieces are read so many at a time, however many streams there are.
_READS = 16
_LISTED = 5


class _Door:
    """How many streams a device has; those beyond its slots wait."""

    def __init__(self) -> None:
        self.slots = asyncio.Semaphore(_STREAMS_PER_DEVICE)
        self.inside = 0


class Contents:
    """Hands contents out and takes them in, so many at a time."""

    def __init__(
        self,
        blobs: BlobStore,
        orders: OrderStore,
        targets: OrderTargetStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._blobs = blobs
        self._orders = orders
        self._targets = targets
        self._clock = clock
        self._uploads = 0
        self._reads = asyncio.Semaphore(_READS)
        self._doors: dict[str, _Door] = {}
        self._named: OrderedDict[str, frozenset[str]] = OrderedDict()

    async def missing(self, digests: Sequence[bytes]) -> list[bytes]:
        """Return those contents that are not here.

        Raises:
            InvalidInput: They are too many, or one is no SHA-256.
        """
        if len(digests) > FILES_LIMIT:
            raise InvalidInput(f"more than {FILES_LIMIT} hashes", code="too-many")
        found = await self._blobs.missing([checked_digest(one) for one in digests])
        return [bytes.fromhex(one) for one in found]

    async def require(self, body: Body) -> None:
        """Refuse what needs contents that are not here.

        Raises:
            PreconditionFailed: `missing-contents`; says how many and some of them.
        """
        wanted = needed(body)
        missing = set(await self._blobs.missing(wanted))
        if missing:
            paths = sorted(path for digest, path in wanted.items() if digest in missing)
            raise PreconditionFailed(
                f"{len(missing)} of its {len(wanted)} contents are not here: "
                f"{', '.join(paths[:_LISTED])}{' …' if len(paths) > _LISTED else ''}",
                code="missing-contents",
                remedy="upload them first, as penguinctl release publish does",
            )

    @asynccontextmanager
    async def upload(self, digest: bytes, size_bytes: int) -> AsyncGenerator[Upload | None, None]:
        """Take one content in; None if it is here already. What is not finished is forgotten.

        Raises:
            InvalidInput: It is no hash, or too large.
            LimitExceeded: Too many are on their way in.
        """
        name = checked_digest(digest)
        if size_bytes > FILE_LIMIT_BYTES:
            raise InvalidInput(
                f"a content has at most {FILE_LIMIT_BYTES} bytes", code="too-large", subject=name
            )
        if not await self._blobs.missing([name]):
            yield None
            return
        if self._uploads >= _UPLOADS:
            raise LimitExceeded("too many uploads at once", code="busy", retry_after_seconds=5)
        self._uploads += 1
        try:
            upload = await self._blobs.begin(name, size_bytes, self._clock())
            try:
                yield upload
            finally:
                await upload.abandon()
        finally:
            self._uploads -= 1

    def download(self, digest: bytes, offset: int = 0) -> AsyncGenerator[bytes, None]:
        """Yield a content for an operator.

        Raises:
            NotFound: It is not here.
        """
        return self._blobs.pieces(checked_digest(digest), offset)

    async def fetch(
        self, device_id: str, order_id: str, digest: bytes, offset: int
    ) -> AsyncGenerator[bytes, None]:
        """Yield a content for a device, if an order that is for it names the content.

        Raises:
            Forbidden: None does.
            LimitExceeded: The device has far too many streams; a few more than it may have wait.
            NotFound: The content is not here.
        """
        name = checked_digest(digest)
        await self._allow(device_id, order_id, name)
        door = self._doors.setdefault(device_id, _Door())
        if door.inside >= _WAITING_PER_DEVICE:
            raise LimitExceeded("too much is fetched at once", code="busy", retry_after_seconds=5)
        door.inside += 1
        try:
            async with door.slots, aclosing(self._blobs.pieces(name, offset)) as pieces:
                while (piece := await self._next(pieces)) is not None:
                    yield piece
        finally:
            door.inside -= 1
            if not door.inside:
                del self._doors[device_id]

    async def _next(self, pieces: AsyncGenerator[bytes, None]) -> bytes | None:
        async with self._reads:
            return await anext(pieces, None)

    async def _allow(self, device_id: str, order_id: str, name: str) -> None:
        """Refuse what no order of the device names; all refusals look the same to it."""
        target = await self._targets.get(order_id, device_id)
        if target is None or target.state in ("waiting", "queued"):
            raise _stranger(order_id)
        known = self._named.get(order_id)
        if known is None:
            order = await self._orders.get(order_id)
            known = frozenset() if order is None else frozenset(needed(_body(order)))
            self._named[order_id] = known
            while len(self._named) > _KNOWN_ORDERS:
                self._named.popitem(last=False)
        if name not in known:
            raise _stranger(order_id)


def needed(body: Body | None) -> dict[str, str]:
    """Return the contents that do not come along with an order: one path of each, by hash."""
    if isinstance(body, ReleaseBody):
        return {one.sha256: one.path for one in body.files}
    if isinstance(body, PatchBody):
        return {
            one.entry.sha256: one.path
            for one in body.files
            if one.entry is not None and one.content is None
        }
    return {}


def checked_digest(digest: bytes) -> str:
    """Return a SHA-256 in hexadecimal digits.

    Raises:
        InvalidInput: It is none.
    """
    if len(digest) != 32:
        raise InvalidInput("a SHA-256 has 32 bytes", code="bad-hash", subject=digest[:32].hex())
    return digest.hex()


def _body(order: Order) -> ReleaseBody | PatchBody | None:
    """Return what an order wants; it was checked when it was handed in."""
    read: dict[str, Callable[..., ReleaseBody | PatchBody]] = {
        "release": release_body,
        "patch": patch_body,
    }
    if order.kind not in read:
        return None
    return read[order.kind](read_payload(order.envelope.payload).body)


def _stranger(order_id: str) -> Forbidden:
    return Forbidden(
        "no order for this device names this content", code="no-such-content", subject=order_id[:26]
    )
