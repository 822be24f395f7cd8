"""Copy one file to or from a device over a session, resumed where it was broken off."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguinctl import ui
from penguinctl.exits import NotVerified
from penguinctl.shell.opening import call_off
from penguinctl.shell.running import attached, end_there, make_client
from penguindome.display import printable
from penguindome.errors import PenguinDomeError, PreconditionFailed
from penguindome.shell.frames import Frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedRandom
    from pathlib import Path

    from penguinctl.app import App
    from penguinctl.shell.client import Client
    from penguinctl.shell.opening import Opened

PIECE_BYTES = 32 * 1024
_BLOCK_BYTES = 1024 * 1024
_LINE_LIMIT_BYTES = 64 * 1024
_WORDS_LIMIT_BYTES = 8 * 1024
_GOES_ON = "What was copied so far is kept: the same command goes on from there"
_NOTHING_LEFT = "Copy it again; nothing is left of this copy"


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
        # What can be done about a failure, as far as the copy has come.
        self.remedy = ""

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
            remedy=self.remedy,
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
        answers.remedy = _GOES_ON
        with source.open("rb") as file:
            file.seek(offset)
            while data := file.read(PIECE_BYTES):
                if answers.is_over:
                    raise answers.failed()
                await client.type(data)
                offset += len(data)
                told(offset, size)
        answers.remedy = "Give the same command again"
        path = str((await answers.line())["path"])
        return Copied(path, size, sha256)

    return _copy(app, opened, work, source)


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
        with _begun(part) as file:
            answers.remedy = _GOES_ON
            sha256 = await _fetch(answers, file, begin, size, told)
        said = str((await answers.line())["sha256"])
        if said != sha256:
            part.unlink(missing_ok=True)
            raise NotVerified(
                "the file changed while it was copied, or since the copy was begun",
                subject=str(target),
                remedy=_NOTHING_LEFT,
            )
        part.chmod(int(head["mode"]) & 0o777)
        part.rename(target)
        return Copied(str(target), size, said)

    return _copy(app, opened, work, target)


async def _fetch(
    answers: _Answers, file: BufferedRandom, place: int, size: int, told: Callable[[int, int], None]
) -> str:
    """Have what is missing of a file behind its first `place` bytes; return the whole's SHA-256."""
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256")
    while place < size:
        data = await answers.some(min(size - place, _BLOCK_BYTES))
        file.write(data)
        digest.update(data)
        place += len(data)
        told(place, size)
    file.flush()
    os.fsync(file.fileno())
    return digest.hexdigest()


def part_of(target: Path) -> Path:
    """Return where a copy is until it is whole."""
    return target.with_name(f".{target.name}.part")


def _begun(part: Path) -> BufferedRandom:
    """Open what is there of a copy; nobody else can read it before it is whole.

    Raises:
        OSError: It cannot be written, or somebody else has a hand on it.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.fdopen(os.open(part, flags, 0o600), "ab+")
    status = os.fstat(file.fileno())
    is_ours = status.st_uid == os.geteuid() and status.st_nlink == 1
    if not is_ours or not stat.S_ISREG(status.st_mode):
        file.close()
        raise OSError(errno.EEXIST, f"{part.name} is no file of ours")
    return file


def hash_of(path: Path) -> str:
    """Return a file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(app: App, opened: Opened, work: Callable[..., Any], here: Path) -> Copied:
    try:
        return asyncio.run(_run(app, opened, work, here))
    except KeyboardInterrupt:
        call_off(app, opened.order_id)
        raise


async def _run(app: App, opened: Opened, work: Callable[..., Any], here: Path) -> Copied:
    client = make_client(opened, in_raw=False)
    answers = _Answers(client)
    made: list[Copied] = []
    wrong: list[PenguinDomeError] = []

    async def working() -> None:
        try:
            made.append(await work(client, answers))
        except PenguinDomeError as error:
            wrong.append(error)
            raise
        except OSError as error:
            wrong.append(_not_written(error, here, answers.remedy))
            raise wrong[0] from None

    how = await attached(app, opened, client, [answers.run, working])
    if made:
        return made[0]
    await asyncio.to_thread(end_there, app, opened, client, how)
    if client.failure is not None:
        raise client.failure
    # Why the device ended it says more than what was missing then.
    if wrong and how.reason in ("", wrong[0].reason):
        raise wrong[0]
    raise PreconditionFailed(
        f"the copy was broken off: {how.reason or 'the session ended'}",
        code=how.code or "not-copied",
        remedy=answers.remedy,
    )


def _not_written(error: OSError, here: Path, remedy: str) -> PreconditionFailed:
    return PreconditionFailed(
        f"the file here cannot be read or written: {error.strerror}",
        code="not-copied",
        subject=str(here),
        remedy=remedy,
    )


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
