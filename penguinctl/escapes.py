"""OpenSSH's escapes: what a line that begins with ~ means. Pure.

They count at the beginning of a line, and of the session. `~.` ends the session, `~^Z` suspends
penguinctl, `~?` shows this list, `~~` sends one ~; before anything else the ~ is sent as it is.
Source: ssh(1), ESCAPE CHARACTERS.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

_LINE_ENDS = (0x0D, 0x0A)
_SUSPEND = 0x1A


class Wish(Enum):
    """What the person at the terminal wants of penguinctl itself."""

    END = "."
    SUSPEND = "^Z"
    HELP = "?"


@dataclass(frozen=True, slots=True)
class Typed:
    """Bytes for the other end, or a wish; in the order in which they were typed."""

    data: bytes = b""
    wish: Wish | None = None


class Escapes:
    """Reads what is typed; `character` None turns escapes off."""

    def __init__(self, character: bytes | None = b"~") -> None:
        self._escape = character[0] if character else None
        self._at_line_start = True
        self._armed = False

    def typed(self, data: bytes) -> list[Typed]:
        """Return what bytes from the terminal mean."""
        if not data:
            return []
        if self._escape is None:
            return [Typed(data)]
        if not self._armed and self._escape not in data:
            # Most of what is typed, and of what is pasted.
            self._at_line_start = data[-1] in _LINE_ENDS
            return [Typed(data)]
        found: list[Typed] = []
        kept = bytearray()
        for byte in data:
            wish = self._wish(byte, kept)
            if wish is not None:
                if kept:
                    found.append(Typed(bytes(kept)))
                    kept.clear()
                found.append(Typed(wish=wish))
        if kept:
            found.append(Typed(bytes(kept)))
        return found

    def _wish(self, byte: int, kept: bytearray) -> Wish | None:
        """Take one byte: into `kept` if it is for the other end."""
        if self._armed:
            self._armed = False
            if (wish := _WISHES.get(byte)) is not None:
                self._at_line_start = True
                return wish
            if byte != self._escape:
                kept.append(self._escape or 0)
        elif self._at_line_start and byte == self._escape:
            self._armed = True
            return None
        kept.append(byte)
        self._at_line_start = byte in _LINE_ENDS
        return None


_WISHES = {ord("."): Wish.END, ord("?"): Wish.HELP, _SUSPEND: Wish.SUSPEND}
