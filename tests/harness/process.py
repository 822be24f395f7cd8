"""Programs as processes of their own: started, watched and ended by their ids."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil

from tests.harness import recorder

BIN = pathlib.Path(sys.executable).parent
# A test that is killed takes its programs with it.
ENDS_WITH_US = "--pdeathsig=TERM"
ROOT = pathlib.Path(__file__).resolve().parents[2]


def environment(**more: str) -> dict[str, str]:
    """Return what a program of ours gets to see: nothing of the developer's own settings."""
    return {
        "PATH": f"{BIN}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8",
        "GRPC_ENABLE_FORK_SUPPORT": "0",
        **more,
    }


def wait_until(ready: Callable[[], object], seconds: float, what: str) -> object:
    """Return the first true answer of `ready`, or fail with `what` after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        if answer := ready():
            return answer
        if time.monotonic() > end:
            raise AssertionError(f"after {seconds} s: {what}")
        time.sleep(0.05)


def run(words: Sequence[object], **options: Any) -> subprocess.CompletedProcess[str]:
    """Run a program of ours to its end, whatever that is."""
    line = [str(word) for word in words]
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=120, check=False, cwd="/", **options
    )
    if done.returncode == 0:
        recorder.note(line)
    return done


class Process:
    """One running program with its log file."""

    def __init__(self, words: Sequence[object], log: pathlib.Path, env: Mapping[str, str]) -> None:
        """Start the program in a session of its own."""
        self.log = log
        self._children: dict[int, psutil.Process] = {}
        recorder.note(words)
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [str(word) for word in words],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=dict(env),
                cwd="/",
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._popen.pid

    def output(self) -> str:
        """Return all that the program has written."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def is_running(self) -> bool:
        """Tell whether the program still runs."""
        return self._popen.poll() is None

    def wait_until(self, ready: Callable[[], object], seconds: float, what: str) -> object:
        """Wait for an answer as long as the program runs."""

        def checked() -> object:
            assert self.is_running(), f"ended with {self._popen.returncode}:\n{self.output()}"
            return ready()

        try:
            return wait_until(checked, seconds, what)
        except AssertionError as problem:
            raise AssertionError(f"{problem}\n{self.output()[-6000:]}") from None

    def wait(self, seconds: float) -> int:
        """Return the exit status once the program has ended by itself."""
        return self._popen.wait(seconds)

    def descendants(self) -> list[psutil.Process]:
        """Return the processes that the program has started and that still run."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children(recursive=True):
                self._children[child.pid] = child
        return [child for child in self._children.values() if is_alive(child)]

    def kill(self) -> None:
        """End the program as a power cut would, and what it had started with it."""
        children = self.descendants()
        self._popen.kill()
        self._popen.wait(10)
        for child in children:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()

    def stop(self, seconds: float = 30) -> int:
        """Ask the program to end; kill it and fail if it or a child of it does not."""
        children = self.descendants()
        if self.is_running():
            os.kill(self.pid, signal.SIGTERM)
        try:
            status = self._popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"did not end:\n{self.output()[-6000:]}") from None
        _, left = psutil.wait_procs(children, timeout=5)
        left = [child for child in left if is_alive(child)]
        for child in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
        assert not left, f"left running: {left}"
        return status


def is_alive(process: psutil.Process) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
