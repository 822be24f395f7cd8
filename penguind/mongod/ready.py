"""Bring a started mongod to the point where it takes writes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure, PyMongoError

from penguind.mongod.paths import REPLICA_SET

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_POLL_SECONDS = 0.05
_NOT_YET_INITIALIZED = 94


async def wait_ready(socket: Path, *, alive: Callable[[], bool]) -> bool:
    """Wait until the server answers `hello` as a primary.

    Args:
        socket: the server's Unix socket.
        alive: says whether the process still runs.

    Returns:
        False if the process ended first.
    """
    while alive():
        if await _listens(socket) and await _lead(socket):
            return True
        await asyncio.sleep(_POLL_SECONDS)
    return False


async def _listens(socket: Path) -> bool:
    try:
        _, writer = await asyncio.open_unix_connection(str(socket))
    except OSError:
        return False
    writer.close()
    return True


async def _lead(socket: Path) -> bool:
    """Make the server the primary of a set of one; True once it is.

    A fresh client each time: one that said hello before the set existed believes for good that
    there are no sessions.
    """
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        f"mongodb://{quote(str(socket), safe='')}/",
        directConnection=True,
        serverSelectionTimeoutMS=2000,
        appname="penguind-supervisor",
    )
    try:
        hello = await client.admin.command("hello")
        if hello.get("isWritablePrimary"):
            return True
        await _form_set(client, str(socket))
    except PyMongoError:
        # Recovering, or the election has just begun; the caller's deadline decides.
        pass
    finally:
        await client.close()
    return False


async def _form_set(client: AsyncMongoClient[dict[str, Any]], host: str) -> None:
    try:
        answer = await client.admin.command("replSetGetConfig")
    except OperationFailure as error:
        if error.code != _NOT_YET_INITIALIZED:
            raise
        members = [{"_id": 0, "host": host}]
        await client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
        return
    config = answer["config"]
    if config["members"][0]["host"] == host:
        return
    # The state folder was moved: the set still knows its only member by the former socket.
    config["members"][0]["host"] = host
    config["version"] += 1
    await client.admin.command("replSetReconfig", config, force=True)
