"""Turn what passes through a session, and what is known of it, into messages."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from penguind.services.convert_device import unix_ms
from penguind.shells.live import (
    Acknowledged,
    Alive,
    Answered,
    EndWanted,
    Frame,
    News,
    OperatorHere,
    OperatorLost,
)
from penguindome.shell.transcript import Piece
from penguindome.v1 import shell_pb2 as pb

if TYPE_CHECKING:
    from penguind.shells.live import Message
    from penguind.shells.looking import SessionFacts


def to_operator(message: Message) -> pb.AttachResponse | None:
    """Return a message for the operator's leg."""
    match message:
        case Frame():
            return pb.AttachResponse(frame=message.data)
        case Acknowledged():
            return pb.AttachResponse(acknowledged=message.count)
        case Answered():
            answer = pb.DeviceAnswer(
                payload=message.payload,
                signature=message.signature,
                acknowledged=message.count,
            )
            return pb.AttachResponse(answer=answer)
        case News():
            state = pb.SessionState(state=message.state, reason=message.reason)
            return pb.AttachResponse(state=state)
        case Alive():
            return pb.AttachResponse(alive=pb.Alive())
        case _:
            return None


def to_device(message: Message) -> pb.ServeResponse | None:
    """Return a message for the device's leg."""
    made: pb.ServeResponse | None = None
    match message:
        case Frame():
            made = pb.ServeResponse(frame=message.data)
        case Acknowledged():
            made = pb.ServeResponse(acknowledged=message.count)
        case OperatorHere():
            made = pb.ServeResponse(here=pb.OperatorHere(acknowledged=message.count))
        case OperatorLost():
            made = pb.ServeResponse(lost=pb.OperatorLost())
        case EndWanted():
            made = pb.ServeResponse(end=pb.ServerEnd(reason=message.reason))
        case Alive():
            made = pb.ServeResponse(alive=pb.Alive())
    return made


def from_leg(message: pb.AttachRequest | pb.ServeRequest) -> Frame | Acknowledged | Alive | None:
    """Return what an end sent after its first message; None where it is in step again."""
    kind = message.WhichOneof("message")
    if kind == "frame":
        return Frame(message.frame)
    if kind == "acknowledged":
        return Acknowledged(message.acknowledged)
    return Alive() if kind == "alive" else None


def piece_message(number: int, piece: Piece) -> pb.TranscriptPiece:
    """Return a piece of a recording."""
    return pb.TranscriptPiece(
        number=number,
        data=piece.data,
        sealed=piece.is_sealed,
        checkpoint=piece.checkpoint,
        signature=piece.signature,
    )


def piece_from(message: pb.TranscriptPiece) -> Piece:
    """Return a piece that a device handed in."""
    return Piece(
        data=message.data,
        checkpoint=message.checkpoint,
        signature=message.signature,
        is_sealed=message.sealed,
    )


def session_message(facts: SessionFacts) -> pb.Session:
    """Return a session."""
    order, target, body = facts.order, facts.target, facts.body
    message = pb.Session(
        order_id=order.order_id,
        device_id=target.device_id,
        hostname=target.hostname,
        operator=order.by,
        approved_by=[one for one in order.signed_by if one != order.by],
        reason=order.reason,
        user=body.user,
        purpose=body.purpose,
        command=body.path or shlex.join(body.argv),
        state=target.state,
        ended_reason=target.reason,
        submitted_unix_ms=unix_ms(order.submitted_time),
        started_unix_ms=unix_ms(target.started_time),
        ended_unix_ms=unix_ms(target.ended_time),
        pieces=facts.recorded.pieces,
        recorded_bytes=facts.recorded.size_bytes,
        sealed=bool(body.auditor_keys),
        complete=facts.recorded.is_complete,
        watched_by=facts.watched_by,
    )
    if target.exit_code is not None:
        message.exit_status = target.exit_code
    return message
