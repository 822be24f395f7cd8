"""Fleets whose remote shells are attacked: devices, sessions as processes, what is left of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psutil

from tests.harness.fleet import Fleet
from tests.harness.process import BIN, ROOT, wait_until
from tests.harness.server import Server
from tests.stories.shells import env_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.harness.agent import Agent
    from tests.harness.operator import Operator

SECONDS = 20


class EvilRelay(Server):
    """A server that meddles as a file says; see evil_relay."""

    @property
    def rules(self) -> Path:
        """Return where its rules are."""
        return self.folder / "evil.json"

    def obey(self, **rule: Any) -> None:
        """Have it meddle from now on."""
        passing = self.rules.with_suffix(".new")
        passing.write_text(json.dumps(rule), encoding="utf-8")
        passing.chmod(0o644)
        passing.rename(self.rules)

    def words(self, *words: object) -> list[str]:
        """Return the command line of the server that was taken over."""
        line = super().words(*words)
        place = line.index(str(BIN / "penguind"))
        line[place : place + 1] = [sys.executable, "-m", "tests.attacks.kit.evil_relay"]
        self.environment_more = {"PD_EVIL": str(self.rules), "PYTHONPATH": str(ROOT)}
        return line


class EvilRelayFleet(Fleet):
    """A fleet with such a server."""

    def __init__(self) -> None:
        super().__init__()
        self.server: EvilRelay = EvilRelay(self.folder / "s")


class Shell:
    """One session of penguinctl, with pipes."""

    def __init__(self, operator: Operator, device: str, *words: object) -> None:
        line = [str(BIN / "penguinctl"), "shell", device, *map(str, words)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            line, stdin=pipe, stdout=pipe, stderr=pipe, env=env_of(operator), cwd="/"
        )

    def line(self, text: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def end(self, seconds: float = SECONDS) -> tuple[int, bytes, bytes]:
        """Return the status and what was shown, once it ended by itself."""
        shown, said = self.process.communicate(timeout=seconds)
        return self.process.returncode, shown, said

    def stop(self) -> None:
        """Kill it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


@contextmanager
def shell(operator: Operator, device: str, *words: object) -> Iterator[Shell]:
    """Lend a session; it is killed at the end."""
    made = Shell(operator, device, *words)
    try:
        yield made
    finally:
        made.stop()


def sessions(agent: Agent) -> list[dict[str, Any]]:
    """Return the sessions that are open, as the device's people see them."""
    return list(json.loads(agent.run("sessions", "-o", "json"))["sessions"])


def newest(operator: Operator) -> dict[str, Any]:
    """Return the newest session as the server has it."""
    return dict(operator.json("session", "list", "--limit", "1")["sessions"][0])


def marked(words: str) -> list[int]:
    """Return the processes in whose command line something stands, but ours and penguinctl's."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline", "status"]):
        line = " ".join(process.info["cmdline"] or ())
        ours = process.info["pid"] == os.getpid() or "penguinctl" in line
        if words in line and not ours and process.info["status"] != psutil.STATUS_ZOMBIE:
            found.append(process.info["pid"])
    return found


def gone(words: str, seconds: float) -> float:
    """Wait until no such process is left; return how long that took."""
    began = time.monotonic()
    wait_until(lambda: not marked(words), seconds, f"still there: {marked(words)}")
    return time.monotonic() - began
