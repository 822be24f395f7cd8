"""Let through what draws on a terminal, and nothing that acts on the operator's machine.

A laptop that somebody else owns writes to the operator's emulator. Dropped are: operating system
commands (OSC: titles, clipboard, links), device control strings (DCS), APC, PM and SOS, requests
that make the terminal type an answer, the 8-bit forms of all these, and marks that turn the
direction of text. Colours, cursor movements, modes and UTF-8 stay; other bytes become U+FFFD.
Pure; pieces may be cut anywhere.
Source: ECMA-48, https://invisible-island.net/xterm/ctlseqs/ctlseqs.html
"""

from __future__ import annotations

import codecs
import re

_ESC = 0x1B
# A sequence that is longer than this is no sequence of a sane program.
_SEQUENCE_LIMIT = 256
_UNWANTED = re.compile("[\x80-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
# DA, DSR, DECRQM, XTVERSION, window reports: the terminal would answer as if somebody had typed.
_ANSWERED = re.compile(rb"\x1b\[(?:[0-9;>=?]*c|\??[0-9;]*n|[0-9;]*t|[0-9;?]*\$p|>[0-9;]*q)\Z")
_STRINGS = frozenset(b"]P_^X")
_ENDS_STRING = frozenset((0x07, 0x18, 0x1A))


class TerminalFilter:
    """Filters one session's output."""

    def __init__(self) -> None:
        self._state = self._ground
        self._sequence = bytearray()
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def filter(self, data: bytes) -> bytes:
        """Return what of these bytes may reach the terminal."""
        if self._state == self._ground and _ESC not in data:
            return self._plain(data)
        out = bytearray()
        place = 0
        while place < len(data):
            if self._state == self._ground and data[place] != _ESC:
                end = data.find(_ESC, place)
                end = len(data) if end < 0 else end
                out += self._plain(data[place:end])
                place = end
            else:
                self._state(data[place], out)
                place += 1
        return bytes(out)

    def _plain(self, data: bytes) -> bytes:
        if data.isascii() and not self._decoder.getstate()[0]:
            return data
        return _UNWANTED.sub("", self._decoder.decode(data)).encode()

    def _ground(self, byte: int, out: bytearray) -> None:
        """Begin a sequence; a character that was not complete never will be."""
        out += self._decoder.decode(b"", final=True).encode()
        self._decoder.reset()
        self._sequence[:] = bytes([byte])
        self._state = self._escape

    def _escape(self, byte: int, out: bytearray) -> None:
        self._sequence.append(byte)
        if byte == ord("["):
            self._state = self._control
        elif byte in _STRINGS:
            self._state = self._string
        elif byte == _ESC:
            self._sequence[:] = b"\x1b"
        elif not 0x20 <= byte <= 0x2F or len(self._sequence) >= _SEQUENCE_LIMIT:
            # ESC Z asks the terminal who it is.
            if 0x30 <= byte <= 0x7E and byte != ord("Z"):
                out += self._sequence
            self._state = self._ground

    def _control(self, byte: int, out: bytearray) -> None:
        if byte == _ESC:
            self._sequence[:] = b"\x1b"
            self._state = self._escape
        elif byte in (0x18, 0x1A) or len(self._sequence) >= _SEQUENCE_LIMIT or byte >= 0x7F:
            self._state = self._ground
        elif byte < 0x20:
            out.append(byte)  # a control character within a sequence acts at once
        else:
            self._sequence.append(byte)
            if byte >= 0x40:
                self._state = self._ground
                if not _ANSWERED.match(self._sequence):
                    out += self._sequence

    def _string(self, byte: int, out: bytearray) -> None:
        """Drop everything up to BEL, ST, CAN or SUB."""
        del out
        if byte in _ENDS_STRING:
            self._state = self._ground
        elif byte == _ESC:
            self._state = self._string_end

    def _string_end(self, byte: int, out: bytearray) -> None:
        if byte == ord("\\"):
            self._state = self._ground
        else:
            self._sequence[:] = b"\x1b"
            self._state = self._escape
            self._escape(byte, out)
