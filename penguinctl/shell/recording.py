"""Recordings at the operator's end: fetched, opened, verified, read as events."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penguinctl import wire
from penguinctl.exits import NotVerified
from penguindome.errors import InvalidInput, PreconditionFailed
from penguindome.payload import read_payload
from penguindome.shell.answer import payload_hash
from penguindome.shell.transcript import Piece, Verified, split_lines, verify
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penguinctl.app import App
    from penguindome.succession import HeldKey
    from penguindome.v1 import shell_pb2

# A key that was given up earlier than this before a session signs nothing of it: a device that
# takes orders has a clock that is right.
_SLACK = timedelta(days=1)
EXACT = "bytes:"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: seconds since the beginning, its kind (o, r, m), its text, its exact bytes."""

    seconds: float
    kind: str
    text: str
    data: bytes


def pieces(app: App, order_id: str, *, follow: bool = False) -> Iterator[Piece]:
    """Yield a recording's pieces as the server has them; with `follow` until the session ends."""
    request = wire.shell_pb2.ReadTranscriptRequest(order_id=order_id, follow=follow)
    with app.session.stream("shell.ReadTranscript", request) as stream:
        for message in stream:
            one = message.piece
            yield Piece(one.data, one.checkpoint, one.signature, one.sealed)


def opened(piece: Piece) -> Piece:
    """Return a piece with readable lines; the operator's own gpg opens a sealed one.

    Raises:
        PreconditionFailed: It cannot be opened here.
    """
    if not piece.is_sealed:
        return piece
    import gnupg  # noqa: PLC0415 -- only for sealed recordings

    made = gnupg.GPG().decrypt(piece.data)
    if not made.ok:
        raise PreconditionFailed(
            f"the recording is sealed, and cannot be opened here: {made.status}",
            code="sealed",
            remedy="An auditor to whose key it is sealed can read it",
        )
    return replace(piece, data=bytes(made.data), is_sealed=False)


def verified(
    response: shell_pb2.GetSessionResponse,
    order: bytes,
    found: Sequence[Piece],
    held: Sequence[HeldKey],
) -> Verified:
    """Check a recording against the order that opened the session, and the device's keys by then.

    The newest key is tried first.
    """
    session = response.session
    begun = to_unix_ms(read_payload(order).issued_time - _SLACK)
    return verify(
        found,
        spkis=[
            one.spki
            for one in reversed(held)
            if one.until_unix_ms is None or one.until_unix_ms >= begun
        ],
        order_id=session.order_id,
        order_hash=payload_hash(order),
        device_id=session.device_id,
    )


def lines(found: Sequence[Piece]) -> list[bytes]:
    """Return all lines of a recording."""
    return [line for piece in found for line in split_lines(piece.data) if piece.data]


def header(found: Sequence[bytes]) -> dict[str, Any]:
    """Return the first line.

    Raises:
        NotVerified: It is none.
    """
    try:
        value = json.loads(found[0])
    except (IndexError, ValueError):
        value = None
    if not isinstance(value, dict):
        raise NotVerified("the recording has no beginning", code="damaged-recording")
    return value


def events(found: Sequence[bytes]) -> Iterator[Event]:
    """Yield the events after the first line; the exact bytes of output, also where it is no UTF-8.

    Raises:
        InvalidInput: A line is none.
    """
    exact: bytes | None = None
    for number, line in enumerate(found[1:], start=2):
        try:
            seconds, kind, text = json.loads(line)
            event = Event(
                float(seconds), str(kind), str(text), str(text).encode("utf-8", "replace")
            )
        except (ValueError, TypeError):
            raise InvalidInput(f"line {number} of the recording is no event") from None
        if event.kind == "m" and event.text.startswith(EXACT):
            exact = base64.b64decode(event.text.removeprefix(EXACT))
            continue
        if event.kind == "o" and exact is not None:
            event, exact = replace(event, data=exact), None
        yield event
