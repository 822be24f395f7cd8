"""Operators with the installed penguinctl, a server in this process, and devices that answer."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from penguind.access import ROLES
from penguind.console import make_line
from tests.harness.operator import Operator
from tests.harness.ordering import laptop
from tests.harness.serving import running

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECONDS = 30


class Story:
    """One server and its operators; commands run in threads, so that the server can answer."""

    def __init__(self, server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.operators: dict[str, Operator] = {}

    async def operator(self, name: str = "alice", roles=ROLES) -> Operator:
        """Let somebody in by an invitation, as people do."""
        line = await make_line(
            self.server.settings,
            self.server.stores,
            name,
            roles=roles,
            ttl=timedelta(days=1),
            clock=self.server.clock,
        )
        path = self.folder / f"{name}.invitation"
        path.write_text(line + "\n")
        made = self.operators[name] = Operator(self.folder / f"o-{name}")
        await asyncio.to_thread(made.init, path)
        return made

    async def run(self, *words: object, status: int = 0, who: str = "alice") -> str:
        """Run a command; return what it printed."""
        return await asyncio.to_thread(self.operators[who].run, *words, status=status)

    async def tried(self, *words: object, who: str = "alice"):
        """Run a command; return everything about its end."""
        return await asyncio.to_thread(self.operators[who].try_run, *words)

    async def json(self, *words: object, who: str = "alice"):
        return await asyncio.to_thread(self.operators[who].json, *words)

    async def laptop(self, hostname: str):
        return await laptop(self.server, hostname)

    def put(self, path: str, text: str = "#!/bin/sh\necho '{}'\n", mode: int = 0o755) -> Path:
        """Write a file of the tree; returns the tree's folder."""
        where = self.folder / "tree" / path
        where.parent.mkdir(parents=True, exist_ok=True)
        where.write_text(text)
        where.chmod(mode)
        return self.folder / "tree"


@asynccontextmanager
async def story(mongo_uri: str) -> AsyncIterator[Story]:
    """Serve, with alice as the first operator, until the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="pd", dir="/tmp"))
    try:
        async with asyncio.timeout(100), running(mongo_uri) as server:
            told = Story(server, folder)
            try:
                await told.operator()
                yield told
            finally:
                for one in told.operators.values():
                    await asyncio.to_thread(one.close)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def play(mongo_uri: str, act) -> None:
    """Run a story to its end."""

    async def main() -> None:
        async with story(mongo_uri) as told:
            await act(told)

    asyncio.run(main())
