"""The one sink for everything that penguinctl says, safe for any terminal.

Text from devices and from the server passes through `printable_block` here, in the sink itself, so
that no command can forget it. Colour is added after that, and only for a person at a terminal.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.display import printable_block

if TYPE_CHECKING:
    from typing import TextIO

_SGR = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}


@dataclass(frozen=True, slots=True)
class Styled:
    """Text with a style: bold, dim, red, green or yellow."""

    text: str
    style: str


def obeys_sequences() -> bool:
    """Tell whether the terminal obeys escape sequences; a dumb one shows them."""
    return os.environ.get("TERM", "") not in ("", "dumb")


def colour_wanted(stream: TextIO) -> bool:
    """Tell whether a stream gets colour. Source: no-color.org, bixense.com/clicolors."""
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") not in ("", "0"):
        return True
    return obeys_sequences() and stream.isatty()


def _rendered(part: str | Styled, *, colour: bool) -> str:
    if isinstance(part, str):
        return printable_block(part)
    text = printable_block(part.text)
    sgr = _SGR.get(part.style, "")
    return f"\x1b[{sgr}m{text}\x1b[0m" if colour and sgr and text else text


def write(stream: TextIO, parts: tuple[str | Styled, ...], end: str) -> None:
    """Write parts to a stream, escaped, styled where the stream takes it."""
    colour = colour_wanted(stream)
    stream.write("".join(_rendered(part, colour=colour) for part in parts) + end)


def out(*parts: str | Styled, end: str = "\n") -> None:
    """Say what was asked for: standard output."""
    write(sys.stdout, parts, end)


def note(*parts: str | Styled, end: str = "\n") -> None:
    """Say something beside the answer: standard error."""
    write(sys.stderr, parts, end)
    sys.stderr.flush()


def ask(question: str) -> str:
    """Ask on standard error and read one line; an end of input is an empty answer."""
    sys.stdout.flush()
    note(question, end=" ")
    typed = sys.stdin.readline()
    if not sys.stdin.isatty():
        note()
    return typed.strip()


def interactive() -> bool:
    """Tell whether a person can answer questions."""
    return sys.stdin.isatty() and sys.stderr.isatty()
