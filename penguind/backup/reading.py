"""Reading a backup through: what is in it, in order, and whether all of it is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from penguind.backup.contents import Totals, collection_of, file_of, header_of
from penguind.backup.documents import count_documents
from penguind.backup.frames import damaged, read_frames

if TYPE_CHECKING:
    from penguind.backup.contents import FileEntry, Header
    from penguind.backup.frames import Frame, Source


class Taker(Protocol):
    """Take what a backup holds; the end was reached only when `read_backup` returns."""

    async def begin(self, header: Header) -> None:
        """Take the header, first of all."""

    async def file(self, entry: FileEntry) -> None:
        """Begin a file."""

    async def data(self, chunk: bytes) -> None:
        """Take the next bytes of the file."""

    async def collection(self, name: str) -> None:
        """Begin a collection."""

    async def documents(self, batch: bytes) -> None:
        """Take the next documents of the collection, BSON."""


class Nobody:
    """Takes nothing: reading alone verifies."""

    async def begin(self, header: Header) -> None:
        """Forget the header."""

    async def file(self, entry: FileEntry) -> None:
        """Forget a file."""

    async def data(self, chunk: bytes) -> None:
        """Forget bytes."""

    async def collection(self, name: str) -> None:
        """Forget a collection."""

    async def documents(self, batch: bytes) -> None:
        """Forget documents."""


class Reading:
    """One pass over a backup.

    Args:
        taker: gets everything, before the end is known to be whole.
    """

    def __init__(self, taker: Taker) -> None:
        self._taker = taker
        self._totals = Totals(0, 0, {})
        self._inside = ""
        self._collection = ""
        self.header: Header | None = None

    async def run(self, source: Source) -> tuple[Header, Totals]:
        """Read to the end; return what was there.

        Raises:
            InvalidInput, NotSupported: as `read_frames`.
            Damaged: it is not whole; what the taker got must not be used.
        """
        for frame in read_frames(source):
            await self._take(frame)
        if self.header is None:
            raise damaged("there is no header", 0)
        return self.header, self._totals

    async def _take(self, frame: Frame) -> None:
        if (self.header is None) != (frame.kind == "H"):
            raise damaged("the header is not the first frame, once", frame.offset)
        if frame.kind == "H":
            self.header = header_of(frame)
            await self._taker.begin(self.header)
        elif frame.kind == "E":
            if frame.value() != self._totals.document():
                raise damaged("the totals are not what was there", frame.offset)
        elif frame.kind in "Ff":
            await self._take_file(frame)
        else:
            await self._take_documents(frame)

    async def _take_file(self, frame: Frame) -> None:
        if frame.kind == "F":
            self._inside = "F"
            self._totals.files += 1
            await self._taker.file(file_of(frame))
            return
        self._expect("F", frame)
        self._totals.file_bytes += len(frame.payload)
        await self._taker.data(frame.payload)

    async def _take_documents(self, frame: Frame) -> None:
        if frame.kind == "C":
            self._inside, self._collection = "C", collection_of(frame)
            if self._collection in self._totals.collections:
                raise damaged("a collection stands there twice", frame.offset)
            self._totals.collections[self._collection] = 0
            await self._taker.collection(self._collection)
            return
        self._expect("C", frame)
        self._totals.collections[self._collection] += count_documents(frame.payload, frame.offset)
        await self._taker.documents(frame.payload)

    def _expect(self, kind: str, frame: Frame) -> None:
        if self._inside != kind:
            raise damaged("the frames are out of order", frame.offset)
