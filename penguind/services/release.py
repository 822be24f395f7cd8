"""ReleaseService: contents in and out, and releases as operators see and steer them."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from penguind.domain.rollout import STANDING
from penguind.services.convert_device import envelope_message
from penguind.services.convert_order import order_message, target_messages
from penguind.services.convert_release import release_message
from penguind.store.blobs import PIECE_BYTES
from penguindome.errors import InvalidInput
from penguindome.v1 import order_pb2, release_pb2
from penguindome.v1.release_pb2_grpc import ReleaseServiceServicer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection

    from penguind.domain.rollout import Rollout
    from penguind.presence import Presence
    from penguind.releases.contents import Contents
    from penguind.releases.desk import ReleaseDesk
    from penguind.store.order_targets import OrderTargetStore
    from penguind.store.orders import OrderStore
    from penguindome.times import Clock

_LIMIT = 1_000
_DEFAULT_LIMIT = 100
# Numbers are 64-bit in the database too.
_HIGHEST = (1 << 63) - 1


class ReleaseService(ReleaseServiceServicer):
    """Serves operators."""

    def __init__(
        self,
        *,
        desk: ReleaseDesk,
        contents: Contents,
        orders: OrderStore,
        targets: OrderTargetStore,
        presence: Presence,
        clock: Clock,
    ) -> None:
        self._desk = desk
        self._contents = contents
        self._orders = orders
        self._targets = targets
        self._presence = presence
        self._clock = clock

    async def FindMissingBlobs(  # noqa: N802 -- gRPC's
        self,
        request: release_pb2.FindMissingBlobsRequest,
        context: Any,  # noqa: ARG002
    ) -> release_pb2.FindMissingBlobsResponse:
        """Tell which contents are not here."""
        return release_pb2.FindMissingBlobsResponse(
            sha256=await self._contents.missing(request.sha256)
        )

    async def UploadBlob(  # noqa: N802 -- gRPC's
        self,
        requests: AsyncIterator[release_pb2.UploadBlobRequest],
        context: Any,  # noqa: ARG002
    ) -> release_pb2.UploadBlobResponse:
        """Take one content in, piece by piece."""
        first = await anext(requests, None)
        if first is None:
            raise InvalidInput("nothing was sent", code="empty-upload")
        async with self._contents.upload(first.sha256, first.size) as upload:
            if upload is not None:
                await upload.add(_piece(first))
                async for message in requests:
                    await upload.add(_piece(message))
                await upload.finish(self._clock())
        return release_pb2.UploadBlobResponse()

    async def DownloadBlob(  # noqa: N802 -- gRPC's
        self,
        request: release_pb2.DownloadBlobRequest,
        context: Any,  # noqa: ARG002
    ) -> AsyncIterator[release_pb2.DownloadBlobResponse]:
        """Hand one content out, piece by piece."""
        async with aclosing(self._contents.download(request.sha256)) as pieces:
            async for data in pieces:
                yield release_pb2.DownloadBlobResponse(data=data)

    async def ListReleases(  # noqa: N802 -- gRPC's
        self,
        request: release_pb2.ListReleasesRequest,
        context: Any,  # noqa: ARG002
    ) -> release_pb2.ListReleasesResponse:
        """Return releases, the newest first."""
        if request.limit > _LIMIT:
            raise InvalidInput(f"at most {_LIMIT} releases at once", subject="limit")
        found = await self._desk.list(request.limit or _DEFAULT_LIMIT)
        # What is over would cost as much as what goes on.
        standing = [one for one in found if one.state in STANDING]
        return release_pb2.ListReleasesResponse(releases=await self._messages(found, standing))

    async def GetRelease(  # noqa: N802 -- gRPC's
        self,
        request: release_pb2.GetReleaseRequest,
        context: Any,  # noqa: ARG002
    ) -> release_pb2.GetReleaseResponse:
        """Return one release and what became of it on each device."""
        rollout = await self._desk.get(_number(request.number))
        (message,) = await self._messages([rollout], [rollout])
        order = await self._orders.get(rollout.order_id)
        targets = await self._targets.of_order(rollout.order_id)
        targets.sort(key=lambda one: (one.hostname, one.device_id, one.part))
        return release_pb2.GetReleaseResponse(
            release=message,
            envelope=None if order is None else envelope_message(order.envelope),
            targets=target_messages(targets, self._presence.connected),
        )

    async def ChangeRollout(  # noqa: N802 -- gRPC's
        self,
        request: release_pb2.ChangeRolloutRequest,
        context: Any,  # noqa: ARG002
    ) -> release_pb2.ChangeRolloutResponse:
        """Open the next ring, halt, resume or withdraw."""
        if not request.number:
            raise InvalidInput("the release's number is missing", subject="number")
        rollout = await self._desk.change(
            _number(request.number), request.action, reason=request.reason, now=self._clock()
        )
        (message,) = await self._messages([rollout], [rollout])
        return release_pb2.ChangeRolloutResponse(release=message)

    async def _messages(
        self, rollouts: Collection[Rollout], counted: Collection[Rollout]
    ) -> list[release_pb2.Release]:
        """Return releases; the rings of those that are `counted` with their progress."""
        ids = [one.order_id for one in rollouts]
        orders = await self._orders.get_many(ids)
        counts = await self._targets.counts(ids)
        standings = await self._desk.standings(counted)
        return [
            release_message(one, standings.get(one.number), _order(one, orders, counts))
            for one in rollouts
        ]


def _order(rollout: Rollout, orders: Any, counts: Any) -> order_pb2.Order | None:
    order = orders.get(rollout.order_id)
    return None if order is None else order_message(order, counts.get(rollout.order_id, {}))


def _piece(message: release_pb2.UploadBlobRequest) -> bytes:
    if len(message.data) > PIECE_BYTES:
        raise InvalidInput(f"a piece has at most {PIECE_BYTES} bytes", code="too-large")
    return message.data


def _number(number: int) -> int:
    return min(number, _HIGHEST)
