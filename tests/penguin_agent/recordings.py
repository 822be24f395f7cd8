"""A recorder with a device's real key, and what it wrote, read as a verifier reads it."""

from __future__ import annotations

import base64
import json
import time

from penguin_agent.shell.pieces import PieceFolder
from penguin_agent.shell.recorder import Recorder, Subject
from penguindome import keys
from penguindome.shell.transcript import split_lines, verify
from penguindome.times import utc_now

KEY = keys.generate_key()
SPKI = keys.key_spki(KEY)
ORDER = "01M8AQTYZRRTPDFN75EE49W39F"
DEVICE = "d-mw2us5ljbgsetkzr"
HASH = "ab" * 32
FLEET = "0" * 32


def recorder_in(folder, *, limit_bytes=1 << 30, seal=None, backlog_bytes=1 << 30):
    """Return a recorder that wrote its first line, and its folder."""
    pieces = PieceFolder(folder / ORDER, backlog_bytes)
    made = Recorder(
        Subject(FLEET, DEVICE, ORDER, HASH, KEY),
        pieces,
        clock=utc_now,
        steady=time.monotonic,
        limit_bytes=limit_bytes,
        seal=seal,
    )
    made.header(columns=80, rows=24, title="a session", env={"TERM": "xterm"})
    return made, pieces


def read_all(pieces):
    """Return all pieces of a folder, in order."""
    return [pieces.read(number) for number in pieces.numbers()]


def verified(found):
    """Verify pieces."""
    return verify(found, spkis=[SPKI], order_id=ORDER, order_hash=HASH, device_id=DEVICE)


def events(found):
    """Return the events of pieces, the header left out."""
    lines = [line for piece in found for line in split_lines(piece.data) if piece.data]
    return [json.loads(line) for line in lines[1:]]


def shown(found):
    """Return the exact bytes that were shown."""
    data, exact = b"", None
    for _, kind, text in events(found):
        if kind == "m" and text.startswith("bytes:"):
            exact = base64.b64decode(text.removeprefix("bytes:"))
        elif kind == "o":
            data += text.encode() if exact is None else exact
            exact = None
    return data
