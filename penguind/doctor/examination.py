"""What all checks share: the settings, the database, the user, the clock; read, never changed."""

from __future__ import annotations

import asyncio
import os
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from penguind.config import load_settings
from penguind.console import open_external
from penguind.mongod.paths import socket_uri
from penguind.privileges import service_user
from penguind.store.database import open_database
from penguindome.errors import PenguinDomeError, PreconditionFailed, Unavailable
from penguindome.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime
    from pathlib import Path

    from penguind.config import Settings
    from penguind.store.database import Database

_SELECTION_MILLISECONDS = 3000
Result = TypeVar("Result")


class NotExamined(Exception):  # noqa: N818 -- no error: the reason why a check has nothing to say
    """Say why something could not be looked at; another check tells what is wrong."""


class Examination:
    """One run of the doctor.

    Args:
        config: the settings file.
        full: whether time may be spent on everything.
    """

    def __init__(self, config: Path, *, full: bool) -> None:
        self.config = config
        self.full = full
        self._away = ""

    @cached_property
    def settings(self) -> Settings:
        """Return the settings.

        Raises:
            NotExamined: they cannot be read.
        """
        try:
            return load_settings(self.config)
        except PenguinDomeError:
            raise NotExamined("the settings cannot be read") from None

    @property
    def state_dir(self) -> Path:
        """Return the state folder."""
        return self.settings.server.state_dir

    @property
    def now(self) -> datetime:
        """Return the time."""
        return utc_now()

    @cached_property
    def uid(self) -> int:
        """Return whose the server's files have to be."""
        if os.geteuid() != 0:
            return os.geteuid()
        return service_user(self.settings.server.user).pw_uid

    def ask(self, question: Callable[[Database], Awaitable[Result]]) -> Result:
        """Return what a question to the database yields; none is started for it.

        Raises:
            NotExamined: nobody answers, which the check named database tells.
        """
        if self._away:
            raise NotExamined(self._away)

        async def work() -> Result:
            async with await self._opened() as database:
                return await question(database)

        try:
            return asyncio.run(work())
        except (Unavailable, PreconditionFailed) as error:
            self._away = "the database does not answer"
            raise NotExamined(self._away) from error

    async def connect(self) -> Database:
        """Open the database, for the check that tells why that fails.

        Raises:
            PenguinDomeError: why not.
        """
        try:
            return await self._opened()
        except PenguinDomeError:
            self._away = "the database does not answer"
            raise

    async def _opened(self) -> Database:
        database = self.settings.database
        if not database.embedded:
            return await open_external(database)
        return await open_database(
            socket_uri(self.state_dir),
            database.name,
            selection_milliseconds=_SELECTION_MILLISECONDS,
        )
