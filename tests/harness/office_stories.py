"""Run a test's story in a server with an office, whose operators' keys are made once a module."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from tests.harness.ordering import Office, open_office
from tests.harness.serving import running
from tests.penguindome.signing import Fleet, gpg_home

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

SECONDS = 90


@pytest.fixture(scope="module")
def signers() -> Iterator[Fleet]:
    """Yield operators' keys."""
    with gpg_home() as home:
        yield Fleet(home)


def in_office(
    mongo_uri: str,
    signers: Fleet,
    story: Callable[[Office], Awaitable[None]],
    *names: str,
    settings_text: str = "",
    seconds: float = SECONDS,
    **document: Any,
) -> None:
    """Run a story; names and document are those of `open_office`, the text is of settings."""

    async def run() -> None:
        async with asyncio.timeout(seconds), running(mongo_uri, settings_text) as server:
            await story(await open_office(server, signers, *names, **document))

    asyncio.run(run())


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 20) -> Any:
    """Return what a condition returns once it is true."""
    async with asyncio.timeout(seconds):
        while True:
            if found := await condition():
                return found
            await asyncio.sleep(0.02)
