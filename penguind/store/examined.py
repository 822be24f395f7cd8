"""What the doctor asks the database; nothing here writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.store.translation import database_errors

if TYPE_CHECKING:
    from datetime import datetime

    from penguind.store.database import Database


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server's version, and the replica set's name."""

    version: str
    set_name: str


async def server_facts(database: Database) -> ServerFacts:
    """Return facts about the server, after a read that a majority agrees on.

    Raises:
        Unavailable: there is no majority.
    """
    with database_errors():
        await database.db["meta"].find_one({"_id": "fleet"})
        hello = await database.client.admin.command("hello")
        facts = await database.client.server_info()
    return ServerFacts(str(facts.get("version", "")), str(hello.get("setName", "(a cluster)")))


async def outbox_backlog(database: Database) -> tuple[int, datetime | None, int]:
    """Return how many alerts wait, since when the oldest does, and how many failed."""
    alerts = database.db["outbox"]
    with database_errors():
        waiting = await alerts.count_documents({"state": "waiting"})
        failed = await alerts.count_documents({"state": "failed"})
        oldest = await alerts.find_one({"state": "waiting"}, sort=[("created_time", 1)])
    return waiting, None if oldest is None else oldest["created_time"], failed
