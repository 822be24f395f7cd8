"""BSON documents, one behind the other, told apart by their lengths alone.

Source: bsonspec.org, version 1.1: a document begins with its length and ends with NUL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.backup.frames import damaged

if TYPE_CHECKING:
    from collections.abc import Iterator

_SMALLEST_BYTES = 5


def split_documents(batch: bytes, offset: int = 0) -> Iterator[bytes]:
    """Yield the documents of a batch.

    Args:
        batch: whole documents.
        offset: where the batch stands in the backup, for the error.

    Raises:
        Damaged: the lengths do not add up.
    """
    place = 0
    while place < len(batch):
        size = int.from_bytes(batch[place : place + 4], "little", signed=True)
        end = place + size
        if size < _SMALLEST_BYTES or end > len(batch) or batch[end - 1] != 0:
            raise damaged("the documents are not BSON", offset)
        yield batch[place:end]
        place = end


def count_documents(batch: bytes, offset: int = 0) -> int:
    """Return how many documents a batch holds.

    Raises:
        Damaged: the lengths do not add up.
    """
    return sum(1 for _ in split_documents(batch, offset))
