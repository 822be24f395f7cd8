"""Whole programs that live in another time: Debian's libfaketime, moved by a file while they run.

mongod and gpg stay in the present: a database of the past may be read, a signature of the past
verified, and gpgv has an environment of its own anyway.
"""

import contextlib
import json
import pathlib
import subprocess
import sys
from typing import Any

from tests.harness import process
from tests.harness.operator import Operator
from tests.harness.process import BIN, ENDS_WITH_US, ROOT, environment

GPG = """#!/bin/sh
unset LD_PRELOAD
exec /usr/bin/gpg "$@"
"""
# libfaketime 0.9.10 cannot do what is behind time.sleep: clock_nanosleep until a monotonic time.
SLEEP = """
import threading, time
time.sleep = lambda seconds: threading.Event().wait(seconds) and None
"""


def faketime_library() -> pathlib.Path:
    """Return where Debian's package `faketime` put its library."""
    return next(pathlib.Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


def forget_dead_programs() -> None:
    """Remove what libfaketime keeps in memory for programs that were killed, and leaves there."""
    for kept in pathlib.Path("/dev/shm").glob("*faketime_s*_*"):
        if not pathlib.Path("/proc", kept.name.rpartition("_")[2]).exists():
            with contextlib.suppress(FileNotFoundError, PermissionError):
                kept.unlink()


class Time:
    """How many days after today it is, for all programs that are started with `environment`."""

    def __init__(self, folder: pathlib.Path) -> None:
        """Begin today."""
        self._file = folder / "faketime"
        self._programs = folder / "programs"
        self._programs.mkdir(mode=0o755)
        gpg = self._programs / "gpg"
        gpg.write_text(GPG)
        gpg.chmod(0o755)
        (self._programs / "sitecustomize.py").write_text(SLEEP)
        self.day = 0.0
        self.go(0)

    def go(self, day: float) -> None:
        """Move to a day; running programs notice at once."""
        assert day >= self.day, "time goes forward only"
        self.day = day
        new = self._file.with_suffix(".new")
        new.write_text(f"+{round(day * 86_400)}\n")
        new.chmod(0o644)
        new.replace(self._file)

    def environment(self) -> dict[str, str]:
        """Return what makes a program live in this time."""
        return {
            "LD_PRELOAD": str(faketime_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "PYTHONPATH": f"{self._programs}:{ROOT}",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    @property
    def path(self) -> str:
        """Return a PATH whose gpg stays in the present."""
        return f"{self._programs}:{environment()['PATH']}"


class FutureOperator(Operator):
    """A person whose penguinctl lives in another time."""

    def __init__(self, folder: pathlib.Path, time: Time) -> None:
        """Make the folders; nothing runs yet."""
        super().__init__(folder)
        self._time = time

    def try_run(self, *words: object, standard_input: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command and return everything about its end."""
        return process.run(
            [BIN / "penguinctl", *words],
            input=standard_input,
            env=environment(
                HOME=str(self.folder),
                XDG_CONFIG_HOME=str(self.folder / "config"),
                GNUPGHOME=str(self.folder / "gnupg"),
                **self._time.environment(),
            )
            | {"PATH": self._time.path},
        )


class Laptops:
    """Devices in one process, each with its own state, which wake when they are told to."""

    def __init__(self, folder: pathlib.Path, time: Time) -> None:
        """Start the process."""
        program = [sys.executable, "-m", "tests.harness.laptops", str(folder)]
        self._log = (folder / "laptops.log").open("wb")
        self._process = subprocess.Popen(
            ["setpriv", ENDS_WITH_US, "--", *program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment(GRPC_VERBOSITY="NONE", **time.environment()),
            cwd=ROOT,
            text=True,
        )

    def ask(self, verb: str, devices: dict[str, str]) -> dict[str, Any]:
        """Have some devices enroll or wake; return what became of each."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"verb": verb, "devices": devices}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the devices' process has ended"
        answers = json.loads(line)
        assert isinstance(answers, dict)
        return answers

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait(10)
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                stream.close()
