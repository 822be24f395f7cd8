"""Make text from elsewhere safe to show.

Trust: the text may be anything that a device, a peer or a file said. What comes out moves no
cursor, changes no colour or title, and reverses no line.
"""

from __future__ import annotations

import unicodedata

# Control, format (bidi, zero-width), surrogate, private, unassigned; line and paragraph separator.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def printable(text: str) -> str:
    r"""Return one line in which everything invisible stands as `\x1b` or `\u202e`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_shown, text))


def printable_block(text: str) -> str:
    """Return lines: as `printable`, but newlines stay."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
