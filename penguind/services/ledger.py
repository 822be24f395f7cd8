"""LedgerService: reading the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguindome.errors import InvalidInput
from penguindome.v1 import ledger_pb2 as pb
from penguindome.v1.ledger_pb2_grpc import LedgerServiceServicer

if TYPE_CHECKING:
    from penguind.domain.ledger import LedgerRow
    from penguind.ledger import Ledger

_LIMIT = 10_000
_DEFAULT_LIMIT = 1_000
# Row numbers are 64-bit in the database too.
_HIGHEST = (1 << 63) - 1
# Rows of one answer stay well below the listener's 4 MiB.
_BYTES = 3 << 20


class LedgerService(LedgerServiceServicer):
    """Serves operators."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def ListLedger(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListLedgerRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListLedgerResponse:
        """Return rows after a number, as many as one answer holds."""
        if request.limit > _LIMIT:
            raise InvalidInput(f"at most {_LIMIT} rows at once", subject="limit")
        limit = request.limit or _DEFAULT_LIMIT
        rows = await self._ledger.after(min(request.after, _HIGHEST), limit)
        answer = pb.ListLedgerResponse()
        size = 0
        for row in map(_message, rows):
            size += row.ByteSize()
            if size > _BYTES:
                break
            answer.rows.append(row)
        return answer

    async def GetLedgerHead(  # noqa: N802 -- gRPC's
        self,
        request: pb.GetLedgerHeadRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.GetLedgerHeadResponse:
        """Return the newest row's number and hash."""
        head = await self._ledger.head()
        if head is None:
            return pb.GetLedgerHeadResponse()
        return pb.GetLedgerHeadResponse(
            number=head.number, hash=head.hash, time_unix_ms=head.time_unix_ms
        )


def _message(row: LedgerRow) -> pb.LedgerRow:
    return pb.LedgerRow(**{name: getattr(row, name) for name in row.__slots__})
