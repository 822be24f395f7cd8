"""What every command needs, made when it is first asked for."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import click

from penguinctl.profile import default_folder
from penguinctl.profiles import Address, Profiles
from penguindome.times import utc_now

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from google.protobuf.message import Message

    from penguinctl.profile import Profile, ProfileFolder
    from penguinctl.session import Session, Stream


class App:
    """The profile, the clock and the connection of one run."""

    def __init__(
        self,
        config_dir: Path | None = None,
        profile_name: str = "",
        server: Address | None = None,
    ) -> None:
        """Take where profiles are, which is meant, and where its server is just now."""
        self._config_dir = config_dir
        self._profile_name = profile_name
        self.server = server

    @cached_property
    def profiles(self) -> Profiles:
        """All profiles on this machine."""
        return Profiles(self._config_dir or default_folder())

    @cached_property
    def profile_name(self) -> str:
        """Which profile is meant."""
        return self._profile_name or self.profiles.current()

    @cached_property
    def folder(self) -> ProfileFolder:
        """The profile's folder."""
        return self.profiles.folder(self.profile_name)

    @cached_property
    def profile(self) -> Profile:
        """Who we are."""
        return self.folder.load()

    @cached_property
    def now(self) -> datetime:
        """The time of this run, read once."""
        return utc_now()

    @property
    def address(self) -> Address:
        """Where the server is dialled."""
        port = self.profile.main_port
        if self.server is None:
            return Address(self.profile.host, port)
        return Address(self.server.host, self.server.port or port)

    @cached_property
    def session(self) -> Session:
        """The connection to the server."""
        from penguinctl.certificate import renewed  # noqa: PLC0415 -- --help stays quick
        from penguinctl.session import connect  # noqa: PLC0415 -- as above

        host = self.server.host if self.server else ""
        profile = renewed(self.folder, self.profile, self.now, host)
        return connect(self.folder, profile, self.server)

    def call(self, method: str, request: Message, *, timeout_seconds: float = 30.0) -> Any:
        """Call a method of the server, e.g. "device.ListDevices"."""
        response = self.session.call(method, request, timeout_seconds=timeout_seconds)
        from penguinctl import names  # noqa: PLC0415 -- --help stays quick

        names.learn(self.folder, method, request, response)
        return response

    def stream(self, method: str, request: Message) -> Stream:
        """Call a method of the server that answers with a stream, e.g. "order.WatchOrder"."""
        return self.session.stream(method, request)

    def begin_round(self) -> None:
        """Let the next round of a watch have a time of its own."""
        self.__dict__.pop("now", None)

    def reconnect(self) -> None:
        """Give up the connection, so that the next call dials at once."""
        session = self.__dict__.pop("session", None)
        self.__dict__.pop("profile", None)
        if session is not None:
            session.close()


pass_app = click.make_pass_decorator(App)
