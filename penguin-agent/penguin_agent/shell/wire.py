"""Pieces of recordings on their way to the server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguin_agent.connection import channel_errors
from penguindome.errors import Unavailable
from penguindome.v1 import shell_pb2 as pb
from penguindome.v1 import shell_pb2_grpc

if TYPE_CHECKING:
    from penguin_agent.link import Link
    from penguindome.shell.transcript import Piece

SECONDS = 60.0


class LinkPieces:
    """Hands pieces in over whatever connection there is."""

    def __init__(self, link: Link) -> None:
        self._link = link

    async def submit_piece(self, order_id: str, number: int, piece: Piece) -> bool:
        """Hand in a piece; False when the server has no use for this recording.

        Raises:
            PenguinDomeError: it is not there yet.
        """
        await self._link.connected.wait()
        connection = self._link.connection
        if connection is None:
            raise Unavailable("there is no connection", code="not-connected")
        stub: Any = shell_pb2_grpc.ShellServiceStub(connection.channel)  # type: ignore[no-untyped-call] # generated
        message = pb.TranscriptPiece(
            number=number,
            data=piece.data,
            sealed=piece.is_sealed,
            checkpoint=piece.checkpoint,
            signature=piece.signature,
        )
        request = pb.SubmitTranscriptRequest(order_id=order_id, piece=message)
        with channel_errors():
            answer = await stub.SubmitTranscript(request, timeout=SECONDS)
        return not answer.unknown
