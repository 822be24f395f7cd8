"""What somebody has who reached the server's database: every record, to read and to change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bson import BSON
from pymongo import MongoClient

from penguind.mongod.child import socket_uri
from penguindome import certs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class StolenDatabase:
    """The database of a running penguind."""

    def __init__(self, state_dir: Path) -> None:
        self._client: MongoClient[dict[str, Any]] = MongoClient(socket_uri(state_dir))
        self.records = self._client["penguindome"]

    def close(self) -> None:
        self._client.close()

    def know(self, device_id: str, certificate: bytes) -> None:
        """Make the server know a certificate's serial, as if it had issued it."""
        serial = certs.parse_certificate(certificate).serial
        done = self.records["devices"].update_one(
            {"_id": device_id}, {"$push": {"serials": serial}}
        )
        assert done.matched_count == 1

    def dump(self) -> Iterator[tuple[str, bytes]]:
        """Yield every collection's name and its documents as BSON, MongoDB's own too."""
        for name in self._client.list_database_names():
            database = self._client[name]
            for collection in database.list_collection_names(filter={"type": "collection"}):
                documents = database[collection].find()
                data = b"".join(BSON.encode(document) for document in documents)
                yield f"{name}.{collection}", data
