"""A whole fleet on this machine: server, operators and devices in one short folder."""

import contextlib
import os
import pathlib
import shutil
import tempfile
from collections.abc import Sequence
from typing import Any, Self

import psutil
import pymongo

from tests.harness.agent import PLUGINS, Agent
from tests.harness.operator import Operator
from tests.harness.process import wait_until
from tests.harness.server import Server
from tests.harness.time_travel import forget_dead_programs


class Fleet:
    """Everything of one story; leaving it ends every process and removes every file."""

    def __init__(
        self, *, settings: str = "", options: Sequence[object] = (), database_uri: str = ""
    ) -> None:
        """Make the folder; nothing runs yet.

        Args:
            settings: TOML to append to the server's settings.
            options: Further options of set-up.
            database_uri: A MongoDB to use, in a database of our own; empty for what
                PENGUIND_TEST_URI says, or else for penguind's own.

        """
        # Short, because names of Unix sockets are: 108 bytes.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pd"))
        self.folder.chmod(0o711)
        self.server = Server(self.folder / "s")
        self.operators: list[Operator] = []
        self.agents: list[Agent] = []
        self._settings = settings
        self._options = options
        # Options of the story's own win: it may be about a database itself.
        about_database = any(str(one).startswith("--database-uri") for one in options)
        given = "" if about_database else os.environ.get("PENGUIND_TEST_URI", "")
        self._database_uri = database_uri or given
        self._database_name = self.folder.name

    def __enter__(self) -> Self:
        """Set up and start the server, and make the first operator."""
        try:
            self.server.setup(settings=self._settings, options=self._setup_options())
            self.server.start()
            self.operator("alice", self.server.invitation)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End everything."""
        self.close()

    def _setup_options(self) -> Sequence[object]:
        if not self._database_uri:
            return self._options
        ours = ("--database-uri", self._database_uri, "--database-name", self._database_name)
        return (*ours, *self._options)

    def _drop_database(self) -> None:
        if self._database_uri:
            with pymongo.MongoClient[dict[str, Any]](self._database_uri) as client:
                client.drop_database(self._database_name)

    @property
    def alice(self) -> Operator:
        """Return the first operator."""
        return self.operators[0]

    def operator(self, name: str, invitation: pathlib.Path) -> Operator:
        """Make an operator from an invitation's file."""
        # As root the server writes it as its own user; the reader is root all the same.
        made = Operator(self.folder / f"o-{name}")
        self.operators.append(made)
        made.init(invitation)
        return made

    def invite(self, name: str, *words: object) -> pathlib.Path:
        """Invite a further operator from the server's own command line."""
        line = self.server.run("operator", "invite", name, *words).strip().splitlines()[-1]
        path = self.folder / f"invitation-{name}"
        path.write_text(line + "\n", encoding="utf-8")
        path.chmod(0o600)
        return path

    def device(
        self,
        *,
        plugins: pathlib.Path = PLUGINS,
        settings: str = "",
        token: str | None = None,
    ) -> Agent:
        """Make a device; with a token it is enrolled and started too."""
        agent = Agent(self.folder / f"a{len(self.agents)}", plugins=plugins, settings=settings)
        self.agents.append(agent)
        if token is not None:
            agent.enroll(token)
            agent.start()
        return agent

    def plugins(self, **scripts: str) -> pathlib.Path:
        """Make a tree of plugins from scripts by name, for a device that runs nothing else."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="p", dir=self.folder))
        folder.chmod(0o755)
        for name, script in scripts.items():
            (folder / name).write_text(script, encoding="utf-8")
            (folder / name).chmod(0o755)
        return folder

    def shown(self, agent: Agent) -> dict[str, Any]:
        """Return what the server knows of a device, as penguinctl shows it."""
        return self.alice.json("device", "show", agent.device_id())

    def wait_for_report(self, agent: Agent, seconds: float = 60) -> dict[str, Any]:
        """Return what the server knows of a device once its first report is stored."""

        def reported() -> dict[str, Any] | None:
            shown = self.shown(agent)
            return shown if shown.get("outputs") else None

        assert agent.process is not None
        found = agent.process.wait_until(reported, seconds, "no report reached the server")
        assert isinstance(found, dict)
        return found

    def close(self) -> None:
        """End every process, remove every file, and fail if anything is left."""
        with contextlib.ExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            stack.callback(forget_dead_programs)
            stack.callback(self._assert_nothing_runs)
            stack.callback(self._drop_database)
            for operator in self.operators:
                stack.callback(operator.close)
            stack.callback(self.server.stop)
            for agent in self.agents:
                stack.callback(agent.stop)

    def _assert_nothing_runs(self) -> None:
        """Fail if a process still works in this fleet's folder."""
        wait_until(lambda: not self._running(), 10, f"still running: {self._running()}")

    def _running(self) -> list[str]:
        ours = str(self.folder) + os.sep
        found = []
        for process in psutil.process_iter(["pid", "cmdline", "status"]):
            words = " ".join(process.info["cmdline"] or ())
            if ours in words and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(f"{process.info['pid']} {words}")
        return found
