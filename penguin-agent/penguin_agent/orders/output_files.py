"""Keep what programs print on the disk, one file for each stream, until the server has it.

state_dir/orders/<order>/{stdout,stderr}, and below `parts/<part>/` for the parts of an order.
A file survives the agent's death at once; what a power cut takes is not missed, as sizes are told.
"""

from __future__ import annotations

import os
import shutil
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from penguin_agent.orders.outbox import Stream
from penguin_agent.orders.voice import Kept
from penguindome.durable import make_private_dir
from penguindome.errors import InvalidInput
from penguindome.ids import is_ulid
from penguindome.orders.manifest import check_path

if TYPE_CHECKING:
    from pathlib import Path

STREAMS = ("stdout", "stderr")


class OutputFiles:
    """The files of all orders.

    Args:
        folder: state_dir/orders.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: dict[Stream, int] = {}
        self._lock = threading.Lock()

    def folder(self, order_id: str) -> Path:
        """Return the folder of an order; it may not be there."""
        if not is_ulid(order_id):
            raise InvalidInput("this is no order's id", code="bad-order-id")
        return self._folder / order_id

    def append(self, stream: Stream, data: bytes, limit_bytes: int) -> tuple[int, int]:
        """Write as much as the limit lets in; returns the sizes before and after, bytes.

        A full disk is like a limit that is reached.
        """
        with self._lock:
            descriptor = self._descriptor(stream)
            before = after = os.fstat(descriptor).st_size
            view = memoryview(data)[: max(limit_bytes - before, 0)]
            with suppress(OSError):
                while view:
                    written = os.write(descriptor, view)
                    after += written
                    view = view[written:]
        return before, after

    def size(self, stream: Stream) -> int:
        """Return how many bytes are kept."""
        try:
            return self._path(stream).stat().st_size
        except OSError:
            return 0

    def kept(self, order_id: str, part: str) -> Kept:
        """Return how many bytes are kept of both streams."""
        return Kept(*(self.size(Stream(order_id, part, name)) for name in STREAMS))

    def read(self, stream: Stream, offset: int, count: int) -> bytes:
        """Return bytes from an offset on; b"" where there are none."""
        try:
            descriptor = os.open(self._path(stream), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.pread(descriptor, count, offset)
        finally:
            os.close(descriptor)

    def close(self, order_id: str, part: str | None = None) -> None:
        """Sync what was written for an order, or one of its parts, and write no more for now."""
        with self._lock:
            for stream in list(self._open):
                if stream.order_id == order_id and part in (None, stream.part):
                    descriptor = self._open.pop(stream)
                    with suppress(OSError):
                        os.fsync(descriptor)
                    os.close(descriptor)

    def remove(self, order_id: str) -> None:
        """Remove all that an order's programs printed."""
        self.close(order_id)
        shutil.rmtree(self.folder(order_id), ignore_errors=True)

    def present(self) -> list[str]:
        """Return the orders that have a folder."""
        return [path.name for path in self._folder.iterdir() if is_ulid(path.name)]

    def _descriptor(self, stream: Stream) -> int:
        if stream not in self._open:
            path = self._path(stream)
            make_private_dir(path.parent)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
            self._open[stream] = os.open(path, flags, 0o600)
        return self._open[stream]

    def _path(self, stream: Stream) -> Path:
        folder = self.folder(stream.order_id)
        if stream.name not in STREAMS:
            raise InvalidInput("there is no such stream", code="bad-output")
        if stream.part:
            folder = folder / "parts" / check_path(stream.part)
        return folder / stream.name
