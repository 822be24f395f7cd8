"""penguin-agent as a process of its own: a device on this machine."""

import json
import pathlib
import subprocess
from typing import Any

from tests.harness import process
from tests.harness.process import BIN, ENDS_WITH_US, ROOT, Process, environment

PLUGINS = ROOT / "penguin-agent/plugins"
SETTINGS = """
[paths]
state_dir = "{folder}/state"
runtime_dir = "{folder}/run"
plugins = "{plugins}"
local_plugins = "{folder}/local"
"""


def record(text: str) -> dict[str, Any]:
    """Return the JSON object that a text is."""
    value = json.loads(text)
    assert isinstance(value, dict)
    return value


class Agent:
    """A device: its settings, identity and daemon."""

    def __init__(
        self, folder: pathlib.Path, *, plugins: pathlib.Path = PLUGINS, settings: str = ""
    ) -> None:
        """Write the settings; nothing runs yet.

        Args:
            folder: Where everything of the device is kept.
            plugins: The tree of plugins to run instead of the shipped one.
            settings: TOML to append to the settings file.

        """
        self.folder = folder
        self.config = folder / "agent.toml"
        self.local = folder / "local"
        self.process: Process | None = None
        self._more: dict[str, str] = {}
        folder.mkdir(mode=0o700)
        self.local.mkdir(mode=0o755)
        (folder / "run").mkdir(mode=0o755)
        text = SETTINGS.format(folder=folder, plugins=plugins) + settings
        self.config.write_text(text, encoding="utf-8")

    def run(self, *words: object, ok: bool = True, standard_input: str = "") -> str:
        """Run a penguin-agent command to its end and return what it printed.

        Args:
            words: The command.
            ok: Whether it has to succeed; otherwise it has to fail.
            standard_input: What it reads.

        """
        done = self.try_run(*words, standard_input=standard_input)
        assert (done.returncode == 0) is ok, done.stdout + done.stderr
        return done.stdout + ("" if ok else done.stderr)

    def try_run(self, *words: object, standard_input: str = "") -> subprocess.CompletedProcess[str]:
        """Run a penguin-agent command and return everything about its end."""
        return process.run(self._words(*words), env=self._environment(), input=standard_input)

    def enroll(self, token: str, *words: object, ok: bool = True) -> str:
        """Enroll with a token's line, given on standard input."""
        return self.run("enroll", *words, ok=ok, standard_input=token + "\n")

    def start(self, **env: str) -> None:
        """Start the daemon."""
        self._more = env
        self.process = Process(self._words("run"), self.folder / "agent.log", self._environment())

    def stop(self) -> None:
        """Stop the daemon."""
        if self.process is not None:
            self.process.stop()
            self.process = None

    def status(self) -> dict[str, Any]:
        """Return what the daemon says about itself, or its files while it is not there."""
        return record(self.try_run("status", "-o", "json").stdout)

    def device_id(self) -> str:
        """Return the id that enrollment gave, also to a device that waits for approval."""
        return str(self.status()["device_id"])

    def add_local(self, name: str, script: str) -> pathlib.Path:
        """Put an executable into the device's local folder of plugins."""
        path = self.local / name
        path.write_text(script, encoding="utf-8")
        path.chmod(0o755)
        return path

    def log(self) -> str:
        """Return all that the daemon has logged."""
        return (self.folder / "agent.log").read_text(encoding="utf-8", errors="replace")

    def _words(self, *words: object) -> list[str]:
        program = ["setpriv", ENDS_WITH_US, "--", str(BIN / "penguin-agent")]
        return [*program, "--config", str(self.config), *map(str, words)]

    def _environment(self) -> dict[str, str]:
        return environment(HOME=str(self.folder), **self._more)
