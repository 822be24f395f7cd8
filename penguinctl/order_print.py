"""What programs print on devices, as it comes.

From one device its bytes are passed on as they are, standard output and standard error apart. From
several each line has the hostname in front, and only whole lines are printed. On a terminal
everything is made harmless first.
"""

from __future__ import annotations

import codecs
import sys
from typing import TYPE_CHECKING

from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

# What never ends its line is printed in pieces of this size.
_LINE_BYTES = 64 * 1024
_TAB = 8


class Output:
    """Prints what comes; `names` are the devices' by their ids, as many as there are."""

    def __init__(self, names: Mapping[str, str]) -> None:
        several = len(names) > 1
        hostnames = list(names.values())
        self._prefixes = {
            device_id: f"{_label(device_id, name, hostnames)}: " if several else ""
            for device_id, name in names.items()
        }
        self._pens: dict[tuple[str, str], _Pen] = {}

    def add(self, device_id: str, stream: str, data: bytes) -> None:
        """Print a piece of stdout or stderr, so that it can be seen at once."""
        self._pen(device_id, stream).write(data)

    def end(self, device_id: str) -> None:
        """Print what a device left without an end of line."""
        for (owner, _), pen in self._pens.items():
            if owner == device_id:
                pen.end()

    def _pen(self, device_id: str, stream: str) -> _Pen:
        key = (device_id, stream)
        if key not in self._pens:
            prefix = self._prefixes.get(device_id, f"{device_id}: ")
            self._pens[key] = _Pen(sys.stderr if stream == "stderr" else sys.stdout, prefix)
        return self._pens[key]


def _label(device_id: str, name: str, all_names: list[str]) -> str:
    return name if all_names.count(name) == 1 else f"{name} {device_id}"


class _Pen:
    """Writes one stream of one device."""

    def __init__(self, to: TextIO, prefix: str) -> None:
        self._to = to
        self._prefix = prefix
        self._harmless = to.isatty()
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._rest = b""
        self._column = 0

    def write(self, data: bytes) -> None:
        if not self._prefix:
            self._put(data)
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._line(line)
        if len(self._rest) > _LINE_BYTES:
            self._line(self._rest)
            self._rest = b""

    def end(self) -> None:
        if self._rest:
            self._line(self._rest)
            self._rest = b""
        elif self._harmless and self._column:
            # What follows begins on a line of its own.
            self._put(b"\n")

    def _line(self, line: bytes) -> None:
        self._put(printable(self._prefix).encode() + line + b"\n")

    def _put(self, data: bytes) -> None:
        if self._harmless:
            self._to.write(self._shown(self._decoder.decode(data)))
        else:
            self._to.flush()
            self._to.buffer.write(data)
        self._to.flush()

    def _shown(self, text: str) -> str:
        """Return text that a terminal only shows; tabs become spaces."""
        parts = []
        for place, line in enumerate(text.replace("\r\n", "\n").split("\n")):
            self._column = 0 if place else self._column
            before = " " * (self._column % _TAB)
            shown = printable((before + line).expandtabs(_TAB)[len(before) :])
            self._column += len(shown)
            parts.append(shown)
        return "\n".join(parts)
