"""Record a session: asciicast lines into pieces on the disk, each with a signed checkpoint.

Only what is shown is recorded, never what is typed: what a program echoes is shown, a password is
not. Bytes that are no UTF-8 stand in a marker beside the text, so that nothing is lost.
"""

from __future__ import annotations

import asyncio
import base64
import codecs
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguin_agent.shell.plain_lines import plain_line
from penguindome.errors import LimitExceeded
from penguindome.shell.transcript import PIECE_LIMIT_BYTES, Chain, Checkpoint, seal_checkpoint
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from penguin_agent.shell.pieces import PieceFolder

# What is recorded at once: it fits into a piece whatever it is, and a terminal need not wait long.
PART_BYTES = 64 * 1024
PIECE_BYTES = 480 * 1024
PIECE_LINES = 1_500
PIECE_SECONDS = 1.0
# What was sent may be recorded later, so often: whoever receives it may need this processor.
_LATER = 16
# A control character takes six bytes in a line; what is no UTF-8 stands there twice.
_GROWTH = 8
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose recording it is; see Checkpoint."""

    fleet: str
    device_id: str
    order_id: str
    order_hash: str
    key_pem: bytes


class Recorder:
    """Writes one recording.

    Args:
        subject: whose.
        folder: where pieces wait for the server.
        clock: the device's.
        steady: seconds since the session's beginning.
        limit_bytes: how long a recording may be; a longer one ends the session.
        seal: seals a piece to auditors; None leaves it readable.
    """

    def __init__(
        self,
        subject: Subject,
        folder: PieceFolder,
        *,
        clock: Callable[[], datetime],
        steady: Callable[[], float],
        limit_bytes: int,
        seal: Callable[[bytes], bytes] | None = None,
    ) -> None:
        self._subject = subject
        self._folder = folder
        self._clock = clock
        self._steady = steady
        self._limit = limit_bytes
        self._seal = seal
        self._chain = Chain(subject.order_hash)
        # What is shown already, with its time.
        self._later: list[tuple[float, bytes]] = []
        self._later_bytes = 0
        self._lines: list[bytes] = []
        self._hashes: list[bytes] = []
        self._size = 0
        self._number = 0
        self._writing = asyncio.Lock()
        self._decoder = codecs.getincrementaldecoder("utf-8")("strict")
        self.recorded_bytes = 0

    @property
    def chain(self) -> bytes:
        """Return the hash over all lines so far."""
        return self._chain.value

    @property
    def pieces(self) -> int:
        """Return how many pieces there are."""
        return self._number

    def header(self, *, columns: int, rows: int, title: str, env: Mapping[str, str]) -> None:
        """Write the first line."""
        self._line(
            {
                "version": 2,
                "width": columns,
                "height": rows,
                "timestamp": to_unix_ms(self._clock()) // 1000,
                "title": title,
                "env": dict(env),
            }
        )

    def lines(self, data: bytes) -> list[bytes]:
        """Return the lines of what is shown now; `add` has to take them before anything else.

        Args:
            data: At most PART_BYTES.
        """
        self._catch_up()
        return self._shown(data, self._time())

    def _shown(self, data: bytes, time: float) -> list[bytes]:
        # Asked for first: a decoder that failed does not say what it had.
        rest = self._decoder.getstate()[0]
        if not rest and (line := plain_line(time, data)) is not None:
            return [line] if data else []
        try:
            text = self._decoder.decode(data)
        except UnicodeDecodeError:
            return self._undecodable(rest + data, time)
        return [_encoded([time, "o", text])] if text else []

    async def add(self, lines: Sequence[bytes]) -> None:
        """Record lines of what is shown.

        Raises:
            LimitExceeded: the recording is as long as it may be.
            OSError: it cannot be written.
        """
        if self._lines and self._size + sum(map(len, lines)) + len(lines) > PIECE_LIMIT_BYTES:
            await self._write()
        for line in lines:
            self._add(line)
        if self._size >= PIECE_BYTES or len(self._lines) >= PIECE_LINES:
            await self._write()
        await self._folder.wait_room()

    def has_room(self, size: int) -> bool:
        """Tell whether so many bytes can be recorded without waiting, by `output_soon`."""
        if len(self._later) == _LATER or not self._fits(size):
            self._catch_up()
        return self._fits(size) and self._folder.has_room

    def _fits(self, size: int) -> bool:
        is_short = self._size + _GROWTH * (self._later_bytes + size) < PIECE_BYTES
        return is_short and len(self._lines) + len(self._later) < PIECE_LINES

    def output_soon(self, data: bytes) -> None:
        """Record what is shown now, which there is room for, with the next piece at the latest."""
        self._later.append((self._time(), data))
        self._later_bytes += len(data)

    def _catch_up(self) -> None:
        """Record what had to wait; before anything that comes after it."""
        later, self._later, self._later_bytes = self._later, [], 0
        for time, data in later:
            for line in self._shown(data, time):
                self._add(line)

    def resized(self, columns: int, rows: int) -> None:
        """Record a new size."""
        self._line([self._time(), "r", f"{columns}x{rows}"])

    def mark(self, text: str) -> None:
        """Record an event that is no output."""
        self._line([self._time(), "m", text])

    async def run(self) -> None:
        """Write what there is each second."""
        while True:
            await asyncio.sleep(PIECE_SECONDS)
            self._catch_up()
            if self._lines:
                await self._write()

    async def end(self, text: str) -> None:
        """Write the last piece; it says that it is the last."""
        self._catch_up()
        if rest := self._decoder.getstate()[0]:
            for line in self._undecodable(rest, self._time()):
                self._add(line)
        self.mark(text)
        await self._write(final=True)

    def _undecodable(self, exact: bytes, time: float) -> list[bytes]:
        """Return a marker with the exact bytes, and what a terminal would make of them."""
        self._decoder.reset()
        marker = "bytes:" + base64.b64encode(exact).decode()
        text = exact.decode("utf-8", "replace")
        return [_encoded([time, "m", marker]), _encoded([time, "o", text])]

    def _time(self) -> float:
        return round(self._steady(), 6)

    def _line(self, value: Any) -> None:
        self._catch_up()
        self._add(_encoded(value))

    def _add(self, line: bytes) -> None:
        self._hashes.append(self._chain.add(line))
        self._lines.append(line)
        self._size += len(line) + 1
        self.recorded_bytes += len(line) + 1

    async def _write(self, *, final: bool = False) -> None:
        """Write a piece whole and after the one before, even where whoever asked is cancelled."""
        await asyncio.shield(self._write_next(final=final))

    async def _write_next(self, *, final: bool) -> None:
        async with self._writing:
            await self._write_piece(final=final)

    async def _write_piece(self, *, final: bool) -> None:
        if self.recorded_bytes > self._limit and not final:
            raise LimitExceeded("the recording is as long as it may be", code="recording-full")
        data = b"\n".join([*self._lines, b""])
        checkpoint = Checkpoint(
            fleet=self._subject.fleet,
            device_id=self._subject.device_id,
            order_id=self._subject.order_id,
            number=self._number,
            lines=self._chain.lines,
            chain=self._chain.value,
            line_hashes=b"".join(self._hashes),
            time_unix_ms=to_unix_ms(self._clock()),
            final=final,
        )
        self._lines, self._hashes, self._size = [], [], 0
        number, self._number = self._number, self._number + 1
        payload, signature = seal_checkpoint(checkpoint, self._subject.key_pem)
        if self._seal is not None:
            data = await asyncio.to_thread(self._seal, data)
        self._folder.put(
            number, data, payload, signature, sealed=self._seal is not None, durable=final
        )


def _encoded(value: Any) -> bytes:
    return _JSON.encode(value).encode("utf-8", "surrogatepass")
