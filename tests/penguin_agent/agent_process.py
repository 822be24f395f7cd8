"""penguin-agent as a process of its own, in a short folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from penguin_agent.environment import package_folders

if TYPE_CHECKING:
    from pathlib import Path

SECONDS = 30
HELLO = """#!/bin/sh
echo '{"hello": 1}'
"""


class AgentProcess:
    """One device's settings, files and daemon."""

    def __init__(self, folder: Path, *, settings: str = "") -> None:
        self.folder = folder
        self.state = folder / "state"
        self.plugins = folder / "plugins"
        self.daemon: subprocess.Popen | None = None
        for name in ("plugins", "local"):
            (folder / name).mkdir(mode=0o755)
        self.plugin("hello", HELLO)
        self.config = folder / "agent.toml"
        self.config.write_text(
            f'[paths]\nstate_dir = "{self.state}"\nruntime_dir = "{folder}/run"\n'
            f'plugins = "{self.plugins}"\nlocal_plugins = "{folder}/local"\n'
            "[schedule]\nsubmit_interval_minutes = '1s'\n[debug]\nfailpoints = true\n" + settings
        )

    def plugin(self, name: str, text: str) -> None:
        path = self.plugins / name
        path.write_text(text)
        path.chmod(0o755)

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "penguin_agent.cli", "--config", str(self.config), *words]

    def environment(self, **more: str) -> dict[str, str]:
        python_path = os.pathsep.join(package_folders())
        return {"PATH": os.environ["PATH"], "PYTHONPATH": python_path, "HOME": "/", **more}

    def run(self, *words: str, text: str = "", code: int | None = 0, **more: str) -> str:
        done = subprocess.run(
            self.words(*words),
            input=text,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
            env=self.environment(**more),
            cwd="/",
        )
        assert code is None or done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return done.stdout + done.stderr

    def enroll(self, token: str, *words: str, code: int | None = 0, **more: str) -> str:
        return self.run("enroll", *words, text=token + "\n", code=code, **more)

    def start(self, **more: str) -> None:
        with (self.folder / "log").open("a") as log:
            self.daemon = subprocess.Popen(
                self.words("run"),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment(**more),
                cwd="/",
            )

    def ended(self, seconds: float = SECONDS) -> int:
        """Wait until the daemon ended by itself; returns its code."""
        assert self.daemon is not None
        code = self.daemon.wait(seconds)
        self.daemon = None
        return code

    def stop(self) -> int | None:
        if self.daemon is None:
            return None
        self.daemon.terminate()
        try:
            return self.ended(10)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
            self.daemon = None
            raise AssertionError("the daemon did not stop: " + self.log()) from None

    def status(self) -> dict:
        return json.loads(
            self.run("status", "-o", "json", code=None).partition("penguin-agent:")[0]
        )

    def log(self) -> str:
        return (self.folder / "log").read_text()


def eventually(condition, seconds: float = SECONDS):
    """Wait until a condition holds, and return what it returned."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.05)
    raise AssertionError("it did not happen in time")
