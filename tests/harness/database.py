"""A real mongod for the whole test session, and a fresh database for each test."""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import uuid
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest

from penguind.mongod.child import Mongod
from penguind.store.database import open_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from penguind.store.database import Database


@pytest.fixture(scope="session")
def mongo_uri() -> Iterator[str]:
    """Yield the URI of a replica set: PENGUIND_TEST_URI, or a child mongod of our own."""
    given = os.environ.get("PENGUIND_TEST_URI")
    if given:
        yield given
        return
    with child_mongod() as uri:
        yield uri


class child_mongod:  # noqa: N801 -- reads as a context manager
    """Run a Mongod in a thread with its own loop, so that tests may use loops of their own.

    The thread must live as long as the child: the death signal is tied to it.
    """

    def __init__(self) -> None:
        self._folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
        self._ready: asyncio.Event
        self._up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._mongod = Mongod(self._folder)
        self._uri = ""
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._serve, name="mongod")

    def __enter__(self) -> str:
        self._thread.start()
        self._up.wait(60)
        if self._failure is not None:
            raise self._failure
        return self._uri

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _serve(self) -> None:
        self._loop.run_until_complete(self._live())
        self._loop.close()

    async def _live(self) -> None:
        self._stop = asyncio.Event()
        try:
            self._uri = await self._mongod.start()
        except BaseException as error:  # noqa: BLE001 -- the other thread shall see it
            self._failure = error
            return
        finally:
            self._up.set()
        await self._stop.wait()
        await self._mongod.stop()


@asynccontextmanager
async def fresh_database(uri: str) -> AsyncIterator[Database]:
    """Open a database with a name of its own, and drop it afterwards."""
    database = await open_database(uri, f"t{uuid.uuid4().hex[:20]}")
    try:
        yield database
    finally:
        await database.client.drop_database(database.db.name)
        await database.close()
