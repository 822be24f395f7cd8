"""Copy one file to or from a device over a session, resumed where it was broken off."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguinctl import ui
from penguinctl.exits import NotVerified
from penguinctl.shell.running import attached, make_client
from penguindome.display import printable
from penguindome.errors import PreconditionFailed
from penguindome.shell.frames import Frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from penguinctl.app import App
    from penguinctl.shell.client import Client
    from penguinctl.shell.opening import Opened

PIECE_BYTES = 32 * 1024
_LINE_LIMIT_BYTES = 64 * 1024
_WORDS_LIMIT_BYTES = 8 * 1024


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied: where to, how many bytes, their hash."""

    path: str
    size: int
    sha256: str


class _Answers:
    """What the copier on the device says and sends."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._buffer = bytearray()
        self._words = bytearray()
        self._more = asyncio.Event()
        self.is_over = False

    async def run(self) -> None:
        """Take frames until the last one."""
        while True:
            kind, data = await self._client.frames.get()
            if kind == Frame.EXIT:
                self.is_over = True
                self._more.set()
                self._client.finish(data)
                return
            if kind == Frame.OUTPUT:
                self._buffer += data
            elif len(self._words) < _WORDS_LIMIT_BYTES:
                self._words += data
            self._more.set()
            if kind != Frame.OUTPUT and self._client.endpoint is not None:
                self._client.endpoint.consumed(len(data))

    async def line(self) -> dict[str, Any]:
        """Return the next line.

        Raises:
            PreconditionFailed: The copier failed; says why.
        """
        while (end := self._buffer.find(b"\n")) < 0:
            if self.is_over or len(self._buffer) > _LINE_LIMIT_BYTES:
                raise self.failed()
            await self._wait()
        data = bytes(self._buffer[: end + 1])
        self._drop(end + 1)
        value = json.loads(data)
        if not isinstance(value, dict):
            raise self.failed()
        return value

    async def some(self, limit: int) -> bytes:
        """Return some of the file's bytes; at most so many."""
        while not self._buffer:
            if self.is_over:
                raise self.failed()
            await self._wait()
        data = bytes(self._buffer[:limit])
        self._drop(len(data))
        return data

    def failed(self) -> PreconditionFailed:
        """Return the error that tells what the device said."""
        words = printable(bytes(self._words).decode("utf-8", "replace").strip())
        return PreconditionFailed(
            f"the device did not copy: {words or 'the session ended'}",
            code="not-copied",
            remedy="What was copied so far is kept: the same command goes on from there",
        )

    async def _wait(self) -> None:
        self._more.clear()
        await self._more.wait()

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        if self._client.endpoint is not None:
            self._client.endpoint.consumed(size)


def copy_to(
    app: App, opened: Opened, source: Path, sha256: str, told: Callable[[int, int], None]
) -> Copied:
    """Send a file; `told` hears how much of how much is there.

    Raises:
        PreconditionFailed: The device did not take it.
    """
    size = source.stat().st_size

    async def work(client: Client, answers: _Answers) -> Copied:
        offset = int((await answers.line())["offset"])
        with source.open("rb") as file:
            file.seek(offset)
            while data := file.read(PIECE_BYTES):
                if answers.is_over:
                    raise answers.failed()
                await client.type(data)
                offset += len(data)
                told(offset, size)
        path = str((await answers.line())["path"])
        return Copied(path, size, sha256)

    return asyncio.run(_run(app, opened, work))


def copy_from(
    app: App, opened: Opened, target: Path, offset: int, told: Callable[[int, int], None]
) -> Copied:
    """Fetch a file; what is there of it stays beside the target until it is whole.

    Raises:
        PreconditionFailed: The device did not send it.
        NotVerified: What came is not what was read there.
    """

    async def work(_client: Client, answers: _Answers) -> Copied:
        head = await answers.line()
        size, begin = int(head["size"]), int(head["offset"])
        part = part_of(target)
        if begin != offset:
            part.unlink(missing_ok=True)
        digest = hashlib.sha256()
        with part.open("ab+") as file:
            file.seek(0)
            while data := file.read(1024 * 1024):
                digest.update(data)
            place = begin
            while place < size:
                data = await answers.some(min(size - place, 1024 * 1024))
                file.write(data)
                digest.update(data)
                place += len(data)
                told(place, size)
            file.flush()
            os.fsync(file.fileno())
        said = str((await answers.line())["sha256"])
        if said != digest.hexdigest():
            part.unlink(missing_ok=True)
            raise NotVerified(
                "the file changed while it was copied, or since the copy was begun",
                subject=str(target),
                remedy="Copy it again; nothing is left of this copy",
            )
        part.chmod(int(head["mode"]) & 0o777)
        part.rename(target)
        return Copied(str(target), size, said)

    return asyncio.run(_run(app, opened, work))


def part_of(target: Path) -> Path:
    """Return where a copy is until it is whole."""
    return target.with_name(f".{target.name}.part")


def hash_of(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _run(app: App, opened: Opened, work: Callable[..., Any]) -> Copied:
    client = make_client(opened, in_raw=False)
    answers = _Answers(client)
    made: list[Copied] = []

    async def working() -> None:
        made.append(await work(client, answers))

    how = await attached(app, opened, client, [answers.run, working])
    if not made and client.failure is not None:
        raise client.failure
    if not made:
        raise PreconditionFailed(
            how.reason or answers.failed().reason,
            code=how.code or "not-copied",
            remedy="What was copied so far is kept: the same command goes on from there",
        )
    return made[0]


def progress(name: str) -> Callable[[int, int], None]:
    """Return what shows how far a copy is, on a terminal."""
    shown = -1

    def told(done: int, size: int) -> None:
        nonlocal shown
        percent = done * 100 // size if size else 100
        if ui.interactive() and percent != shown:
            shown = percent
            end = "\n" if done >= size else "\r"
            ui.note(f"{printable(name)}  {percent:3d} %  {done:,} of {size:,} bytes", end=end)

    return told
