"""What every command needs, made when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from penguinctl.profile import ProfileFolder, default_folder
from penguindome.times import utc_now

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from google.protobuf.message import Message

    from penguinctl.profile import Profile
    from penguinctl.session import Session


class App:
    """The profile, the clock and the connection of one run."""

    def __init__(self, config_dir: Path | None) -> None:
        self._config_dir = config_dir

    @cached_property
    def folder(self) -> ProfileFolder:
        """The profile's folder."""
        return ProfileFolder(self._config_dir or default_folder())

    @cached_property
    def profile(self) -> Profile:
        """Who we are."""
        return self.folder.load()

    @cached_property
    def now(self) -> datetime:
        """The time of this run, read once."""
        return utc_now()

    @cached_property
    def session(self) -> Session:
        """The connection to the server."""
        from penguinctl.certificate import renewed  # noqa: PLC0415 -- --help stays quick
        from penguinctl.session import connect  # noqa: PLC0415 -- as above

        return connect(self.folder, renewed(self.folder, self.profile, self.now))

    def call(self, method: str, request: Message, *, timeout_seconds: float = 30.0) -> Any:
        """Call a method of the server, e.g. "device.ListDevices"."""
        return self.session.call(method, request, timeout_seconds=timeout_seconds)


pass_app = click.make_pass_decorator(App)
