"""Pieces of recordings that wait on the disk until the server has them: one file each."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from typing import TYPE_CHECKING

from penguindome.durable import make_private_dir, write_file
from penguindome.errors import Damaged
from penguindome.shell.transcript import Piece

if TYPE_CHECKING:
    from pathlib import Path

_NAME = re.compile(r"[0-9]{8}")
# What may wait for the server; a program that prints more waits with it.
BACKLOG_BYTES = 32 * 1024 * 1024


class PieceFolder:
    """The folder of one session.

    Args:
        path: made if missing; its name is the order's id.
        backlog_bytes: how much may wait before whoever records has to.
    """

    def __init__(self, path: Path, backlog_bytes: int = BACKLOG_BYTES) -> None:
        self.path = path
        self._limit = backlog_bytes
        make_private_dir(path)
        self._waiting = sum(one.stat().st_size for one in self._files())
        self._is_ended = False
        self._room = asyncio.Event()
        self._room.set()
        self.fresh = asyncio.Event()

    @property
    def is_pressing(self) -> bool:
        """Tell whether what waits has to go without pauses: it is much, or the session is over."""
        return self._is_ended or self._waiting > self._limit * 3 // 4

    def put(
        self,
        number: int,
        data: bytes,
        checkpoint: bytes,
        signature: bytes,
        *,
        sealed: bool,
        durable: bool,
    ) -> None:
        """Keep a piece.

        Args:
            number: From 0.
            data: Lines, or one OpenPGP message.
            checkpoint: Its exact bytes.
            signature: The device's.
            sealed: Whether `data` is an OpenPGP message.
            durable: Whether it has to be on the disk when this returns; a session does not outlive
                a power cut, so that only its end is worth waiting for.

        Raises:
            OSError: It cannot be written.
        """
        head = {
            "checkpoint": base64.b64encode(checkpoint).decode(),
            "signature": base64.b64encode(signature).decode(),
            "sealed": sealed,
        }
        content = (json.dumps(head).encode() + b"\n", data)
        place = self.path / f"{number:08d}"
        if durable:
            write_file(place, b"".join(content))
            self._is_ended = True
        else:
            passing = self.path / f".{number:08d}"
            with passing.open("wb") as file:
                file.writelines(content)
            passing.rename(place)
        self._waiting += sum(map(len, content))
        if self._waiting > self._limit:
            self._room.clear()
        self.fresh.set()

    @property
    def has_room(self) -> bool:
        """Tell whether less waits for the server than may."""
        return self._room.is_set()

    async def wait_room(self) -> None:
        """Wait until less waits for the server than may."""
        await self._room.wait()

    def numbers(self) -> list[int]:
        """Return the pieces that are here, in order."""
        return sorted(int(one.name) for one in self._files())

    def read(self, number: int) -> Piece:
        """Return a piece.

        Raises:
            Damaged: Its file is not what was written.
        """
        place = self.path / f"{number:08d}"
        with place.open("rb") as file:
            head, data = file.readline(), file.read()
        try:
            value = json.loads(head)
            return Piece(
                data=data,
                checkpoint=base64.b64decode(value["checkpoint"], validate=True),
                signature=base64.b64decode(value["signature"], validate=True),
                is_sealed=bool(value["sealed"]),
            )
        except (ValueError, KeyError, TypeError):
            raise Damaged("a piece of a recording is damaged", subject=str(place)) from None

    def set_aside(self, number: int) -> None:
        """Keep a piece that cannot be handed in, until the folder is removed."""
        place = self.path / f"{number:08d}"
        self._waiting -= place.stat().st_size
        place.rename(self.path / f".{number:08d}.bad")

    def drop(self, number: int) -> None:
        """Forget a piece that the server has."""
        place = self.path / f"{number:08d}"
        self._waiting -= place.stat().st_size
        place.unlink()
        if self._waiting <= self._limit:
            self._room.set()

    def remove(self) -> None:
        """Remove the folder with all that is left."""
        for one in self.path.iterdir():
            one.unlink()
        self.path.rmdir()

    def _files(self) -> list[Path]:
        return [one for one in self.path.iterdir() if _NAME.fullmatch(one.name)]
