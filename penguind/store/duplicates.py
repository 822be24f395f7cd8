"""Tell inserts that found their document there from those that failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pymongo.errors import BulkWriteError

_DUPLICATE_KEY = 11000


def refused_inserts(error: BulkWriteError) -> set[int]:
    """Return the numbers of inserts that a unique index refused; raise for any other failure."""
    details = error.details or {}
    failures = details.get("writeErrors", [])
    others = [one for one in failures if one.get("code") != _DUPLICATE_KEY]
    if others or not failures or details.get("writeConcernErrors"):
        raise error
    return {one["index"] for one in failures}
