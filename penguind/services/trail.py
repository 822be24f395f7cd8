"""TrailService: what changed in devices' data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.domain.device import STATES
from penguind.services.convert_judge import trail_entry_to_message
from penguindome.errors import InvalidInput
from penguindome.times import from_unix_ms
from penguindome.v1 import trail_pb2, trail_pb2_grpc

if TYPE_CHECKING:
    from typing import Any

    from penguind.select import DeviceSelector
    from penguind.store.trail_queries import TrailQueries

DEFAULT_LIMIT = 100
MAX_LIMIT = 10_000
# A changed value may be a mebibyte; the answer stays within the 4 MiB of a message.
_MAX_BYTES = 2_500_000


class TrailService(trail_pb2_grpc.TrailServiceServicer):
    """Serves the audit trail to operators."""

    def __init__(self, *, trail: TrailQueries, selector: DeviceSelector) -> None:
        self._trail = trail
        self._selector = selector

    async def ListTrail(  # noqa: N802 -- gRPC's name
        self, request: trail_pb2.ListTrailRequest, context: Any
    ) -> trail_pb2.ListTrailResponse:
        """Return changes, newest first, as many as fit into one answer."""
        del context
        limit = request.limit or DEFAULT_LIMIT
        if limit > MAX_LIMIT:
            raise InvalidInput(f"limit is more than {MAX_LIMIT}", subject="limit")
        found = self._trail.newest(
            device_ids=await self._device_ids(request),
            key_prefix=request.key_prefix,
            since=from_unix_ms(request.since_unix_ms) if request.since_unix_ms else None,
            limit=limit + 1,
        )
        entries: list[trail_pb2.TrailEntry] = []
        size = 0
        async for entry in found:
            message = trail_entry_to_message(entry)
            size += message.ByteSize()
            if len(entries) == limit or (entries and size > _MAX_BYTES):
                return trail_pb2.ListTrailResponse(entries=entries, more=True)
            entries.append(message)
        return trail_pb2.ListTrailResponse(entries=entries)

    async def _device_ids(self, request: trail_pb2.ListTrailRequest) -> list[str] | None:
        if request.device_id:
            return [request.device_id]
        if not request.selectors:
            return None
        found = await self._selector.resolve(list(request.selectors), states=STATES)
        return [one.device_id for one in found]
