"""What is inside the sealed frames of a shell: kinds, and the forms of those that are no raw bytes.

Trust: a frame that was opened is from the other end, which may still say anything.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from penguindome.errors import InvalidInput
from penguindome.orders.fields import Fields
from penguindome.strict_json import JsonLimits, canonical_json, parse_json

# Of a sealed one; a server hands on no larger ones.
FRAME_LIMIT_BYTES = 128 * 1024
SIZE_LIMIT = 1000
_TEXT_LIMIT_BYTES = 2048
_SIZE = struct.Struct("!HH")
_JSON = JsonLimits(size_bytes=16 * 1024, depth=4, nodes=64)


class Frame(IntEnum):
    """The kinds of frames; those below 16 go to the device, the others back."""

    INPUT = 1
    INPUT_END = 2
    SIZE = 3
    SIGNAL = 4
    # The operator ends the session.
    LEAVE = 5
    OUTPUT = 16
    ERRORS = 17
    NOTE = 18
    EXIT = 19


@dataclass(frozen=True, slots=True)
class Exit:
    """How a session ended.

    Attributes:
        status: The program's exit status as a shell shows it (128 and the signal's number), or
            255 when the session was ended for another reason.
        reason: Why it was ended; empty when the program ended by itself.
        code: The same for machines, e.g. `idle`, `link-lost`, `killed`.
    """

    status: int
    reason: str = ""
    code: str = ""


def size_bytes(columns: int, rows: int) -> bytes:
    """Return a terminal's size; what is beyond 1 to 1000 is cut."""
    return _SIZE.pack(_cut(columns), _cut(rows))


def read_size(data: bytes) -> tuple[int, int]:
    """Return columns and rows.

    Raises:
        InvalidInput: It is no size.
    """
    if len(data) != _SIZE.size:
        raise InvalidInput("the terminal's size is none", code="bad-frame")
    columns, rows = _SIZE.unpack(data)
    return _cut(columns), _cut(rows)


def exit_bytes(how: Exit) -> bytes:
    """Return a frame's bytes for an end."""
    value = {"status": how.status, "reason": how.reason[:512], "code": how.code}
    return canonical_json(value)


def read_exit(data: bytes) -> Exit:
    """Return how a session ended.

    Raises:
        InvalidInput: It is malformed.
    """
    fields = Fields(parse_json(data, _JSON), "the end of the session", code="bad-frame")
    return Exit(
        status=fields.number("status", 0, 255),
        reason=fields.text("reason", _TEXT_LIMIT_BYTES),
        code=fields.text("code", 64),
    )


def _cut(number: int) -> int:
    return min(max(number, 1), SIZE_LIMIT)
