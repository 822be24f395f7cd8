"""The value that proves at the next check-in that this is the device the last one was."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logbook import Logger

from penguindome.durable import is_regular, make_private_dir, write_file
from penguindome.errors import PenguinDomeError

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
        if is_regular(self.path):
            return self.path.read_bytes()[:_LIMIT]
        if os.path.lexists(self.path):
            log.warning("{} is no regular file: the check-in's value is lost", self.path)
        return b""

    def write(self, value: bytes) -> bool:
        """Keep a new value; False if it is not on the disk, so that the former one still counts."""
        if not value:
            return False
        if value == self.read():
            return True
        try:
            make_private_dir(self.path.parent)
            write_file(self.path, value[:_LIMIT])
        except PenguinDomeError as error:
            log.warning("The check-in's value cannot be kept: {}", error)
            return False
        return True
