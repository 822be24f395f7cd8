"""Recordings of sessions: asciicast v2 in pieces, each with a checkpoint that the device signed.

A checkpoint has a hash over all lines up to its end, which chains the pieces, and a short hash of
each line, which tells where a change is. The last one says that it is the last; the receipt of the
session's order repeats its hash, so that a missing tail is found too.
Source of the form: https://docs.asciinema.org/manual/asciicast/v2/
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.errors import Forbidden, InvalidInput
from penguindome.framing import frame
from penguindome.orders.fields import Fields
from penguindome.strict_json import JsonLimits, canonical_json, parse_json

if TYPE_CHECKING:
    from collections.abc import Sequence

# A line's own hash: enough to tell where a change is; the chain is what proves that there is none.
LINE_HASH_BYTES = 8
PIECE_LIMIT_BYTES = 512 * 1024
PIECE_LINES = 2_000
_NUMBER = 2**53
_LIMITS = JsonLimits(size_bytes=64 * 1024, depth=4, nodes=64)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A device's word about a piece and everything before it.

    Attributes:
        fleet: The fleet's id.
        device_id: The device's.
        order_id: The shell order's.
        number: The piece's.
        lines: How many lines there are up to its end, the header among them.
        chain: The hash over all of them.
        line_hashes: LINE_HASH_BYTES of each line of this piece, joined.
        time_unix_ms: By the device's clock.
        final: Whether nothing follows.
    """

    fleet: str
    device_id: str
    order_id: str
    number: int
    lines: int
    chain: bytes
    line_hashes: bytes
    time_unix_ms: int
    final: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """Some lines, and the signed checkpoint about them."""

    data: bytes
    checkpoint: bytes
    signature: bytes
    is_sealed: bool = False


class Chain:
    """The hash over all lines of a recording, as it grows."""

    def __init__(self, order_hash: str) -> None:
        self.value = hashlib.sha256(frame("transcript", order_hash.encode())).digest()
        self.lines = 0

    def add(self, line: bytes) -> bytes:
        """Take one line, without its end; returns its own short hash."""
        digest = hashlib.sha256(line).digest()
        self.value = hashlib.sha256(self.value + digest).digest()
        self.lines += 1
        return digest[:LINE_HASH_BYTES]


def seal_checkpoint(checkpoint: Checkpoint, key_pem: bytes) -> tuple[bytes, bytes]:
    """Return a checkpoint's exact bytes and the device's signature."""
    payload = canonical_json(
        {
            "fleet": checkpoint.fleet,
            "device_id": checkpoint.device_id,
            "order_id": checkpoint.order_id,
            "number": checkpoint.number,
            "lines": checkpoint.lines,
            "chain": checkpoint.chain.hex(),
            "line_hashes": base64.b64encode(checkpoint.line_hashes).decode(),
            "time_unix_ms": checkpoint.time_unix_ms,
            "final": checkpoint.final,
        }
    )
    from penguindome import keys  # noqa: PLC0415 -- an idle daemon does without that library

    return payload, keys.sign(key_pem, frame("transcript-checkpoint", payload))


def open_checkpoint(payload: bytes, signature: bytes, spki: bytes) -> Checkpoint:
    """Return what a device signed.

    Raises:
        Forbidden: `bad-checkpoint`: the signature is not the device's.
        InvalidInput: `bad-checkpoint`: it is malformed.
    """
    from penguindome import keys  # noqa: PLC0415 -- as above

    if not keys.verify(spki, frame("transcript-checkpoint", payload), signature):
        raise Forbidden("its checkpoint is not signed by the device", code="bad-checkpoint")
    return read_checkpoint(payload)


def read_checkpoint(payload: bytes) -> Checkpoint:
    """Parse a checkpoint; whether it is signed is not asked here.

    Raises:
        InvalidInput: `bad-checkpoint`.
    """
    fields = Fields(parse_json(payload, _LIMITS), "the checkpoint", code="bad-checkpoint")
    try:
        chain = bytes.fromhex(fields.text("chain", 64))
        hashes = base64.b64decode(fields.take("line_hashes", str), validate=True)
    except (binascii.Error, ValueError):
        fields.refuse("its hashes are none")
    checkpoint = Checkpoint(
        fleet=fields.text("fleet", 64),
        device_id=fields.text("device_id", 64),
        order_id=fields.text("order_id", 26),
        number=fields.number("number", 0, _NUMBER),
        lines=fields.number("lines", 0, _NUMBER),
        chain=chain,
        line_hashes=hashes,
        time_unix_ms=fields.number("time_unix_ms", 0, _NUMBER),
        final=fields.take("final", bool),
    )
    fields.end()
    return checkpoint


@dataclass(frozen=True, slots=True)
class Verified:
    """What a recording turned out to be.

    Attributes:
        lines: How many lines are good, from the beginning.
        chain: The hash after them.
        problem: What is wrong with what follows; empty if nothing is.
        is_complete: Whether the last piece is there and good.
        signers: The device's keys that signed good pieces, in order.
    """

    lines: int
    chain: bytes
    problem: str = ""
    is_complete: bool = False
    signers: tuple[bytes, ...] = ()


def verify(
    pieces: Sequence[Piece],
    *,
    spkis: Sequence[bytes],
    order_id: str,
    order_hash: str,
    device_id: str,
) -> Verified:
    """Check a recording from its beginning; pieces that are sealed have to be opened before.

    Args:
        pieces: In order, from the first one.
        spkis: Public keys that the device had since the order, DER.
        order_id: The shell order's.
        order_hash: SHA-256 of the order's payload, hexadecimal.
        device_id: The device's.
    """
    chain = Chain(order_hash)
    signers: dict[bytes, None] = {}
    final = False
    for number, piece in enumerate(pieces):
        if final:
            return Verified(chain.lines, chain.value, f"piece {number} follows the last one")
        try:
            checkpoint, signer = _open_with(piece, spkis)
        except (Forbidden, InvalidInput) as error:
            return Verified(chain.lines, chain.value, f"piece {number}: {error.reason}")
        said = (checkpoint.order_id, checkpoint.device_id, checkpoint.number)
        if said != (order_id, device_id, number):
            return Verified(chain.lines, chain.value, f"piece {number} belongs elsewhere")
        if problem := _follow(chain, checkpoint, piece.data):
            return Verified(chain.lines, chain.value, problem)
        final = checkpoint.final
        signers[signer] = None
    problem = "" if final else "its end is missing"
    return Verified(chain.lines, chain.value, problem, final, tuple(signers))


def split_lines(data: bytes) -> list[bytes]:
    """Return a piece's lines without their ends."""
    return data.split(b"\n")[:-1] if data.endswith(b"\n") else data.split(b"\n")


def _open_with(piece: Piece, spkis: Sequence[bytes]) -> tuple[Checkpoint, bytes]:
    """Return a piece's checkpoint, and which of the keys signed it."""
    refused = Forbidden("its checkpoint is not signed by the device", code="bad-checkpoint")
    for spki in spkis:
        try:
            return open_checkpoint(piece.checkpoint, piece.signature, spki), spki
        except Forbidden as error:
            refused = error
    raise refused


def _follow(chain: Chain, checkpoint: Checkpoint, data: bytes) -> str:
    """Take a piece's lines into the chain; returns what is wrong with them."""
    said = checkpoint.line_hashes
    lines = split_lines(data) if data else []
    cut_off = -1 if data.endswith(b"\n") else len(lines) - 1
    for index, line in enumerate(lines):
        at = index * LINE_HASH_BYTES
        if hashlib.sha256(line).digest()[:LINE_HASH_BYTES] != said[at : at + LINE_HASH_BYTES]:
            return f"line {chain.lines + 1} is not what the device recorded"
        if index == cut_off:
            return f"line {chain.lines + 1} has no end"
        chain.add(line)
    if len(lines) * LINE_HASH_BYTES != len(said):
        return f"after line {chain.lines} a line is missing or too many"
    if chain.lines != checkpoint.lines or chain.value != checkpoint.chain:
        return f"something before line {chain.lines} is missing"
    return ""
