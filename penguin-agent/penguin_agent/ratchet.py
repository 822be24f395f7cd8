"""The value that proves at the next check-in that this is the device the last one was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from logbook import Logger

from penguindome.durable import is_regular, make_private_dir, write_file
from penguindome.errors import LimitExceeded

if TYPE_CHECKING:
    from pathlib import Path

log = Logger(__name__)

_LIMIT = 64


@dataclass(frozen=True, slots=True)
class Ratchet:
    """The file that holds it."""

    path: Path

    def read(self) -> bytes:
        """Return the value, empty before the first check-in."""
        return self.path.read_bytes()[:_LIMIT] if is_regular(self.path) else b""

    def write(self, value: bytes) -> None:
        """Keep a new value; the server accepts the previous one once if the disk is full."""
        if not value or value == self.read():
            return
        make_private_dir(self.path.parent)
        try:
            write_file(self.path, value[:_LIMIT])
        except LimitExceeded as error:
            log.warning("The check-in's value cannot be kept: {}", error)
