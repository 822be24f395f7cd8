import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ["GRPC_VERBOSITY"] = "NONE"

import pytest

from penguinctl import gpg_agent
from tests.penguinctl import samples
from tests.penguinctl.pty_capture import run_in_terminal
from tests.penguinctl.pty_session import Session
from tests.penguinctl.server_simulator import Simulator

ENTRY = str(Path(sys.executable).parent / "penguinctl")


@dataclass
class Result:
    code: int
    out: str
    err: str


class Ctl:
    """penguinctl as an operator runs it: the installed entry point in its own configuration."""

    def __init__(self, home):
        self.home = home
        self.profile = home / "penguinctl"
        self.passphrase = home / "passphrase"
        # A passphrase costs gpg two seconds; the tests that are about one write it here.
        self.passphrase.write_text("")

    def environment(self, **changes):
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self.home),
            "PENGUINCTL_PASSPHRASE_FILE": str(self.passphrase),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
        } | changes

    def __call__(self, *arguments, stdin="", **changes):
        done = subprocess.run(
            [ENTRY, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            env=self.environment(**changes),
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def bytes(self, *arguments, **changes):
        """Return standard output as it is, ends of lines included."""
        env = self.environment(**changes)
        done = subprocess.run(
            [ENTRY, *arguments], capture_output=True, timeout=60, env=env, check=False
        )
        return done.stdout

    def session(self, *arguments, columns=100, lines=24, **changes):
        """Start a command at a terminal, to be talked to."""
        env = self.environment(**{"TERM": "xterm"} | changes)
        return Session([ENTRY, *arguments], env, columns=columns, lines=lines)

    def terminal(self, *arguments, typed=b"", columns=100, **changes):
        env = self.environment(**{"TERM": "xterm", "PAGER": "cat"} | changes)
        return Result(*run_in_terminal([ENTRY, *arguments], typed, columns, env), err="")


@pytest.fixture(scope="session")
def folder():
    path = Path(tempfile.mkdtemp(prefix="pd", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def home(folder):
    return Path(tempfile.mkdtemp(prefix="h", dir=folder))


@pytest.fixture
def ctl(home):
    return Ctl(home)


@pytest.fixture
def fresh():
    """A server without operators."""
    simulator = Simulator().start()
    yield simulator
    simulator.stop()


@pytest.fixture(scope="session")
def fleet(folder):
    """A server and its first operator."""
    simulator = Simulator().start()
    operator = Ctl(Path(tempfile.mkdtemp(prefix="o", dir=folder)))
    done = operator("init", stdin=simulator.invitation())
    assert done.code == 0, done.err
    yield simulator, operator
    simulator.stop()


@pytest.fixture
def simulator(fleet):
    fleet[0].reset()
    return fleet[0]


@pytest.fixture
def operator(fleet):
    (fleet[1].profile / "ledger.json").unlink(missing_ok=True)
    return fleet[1]


@pytest.fixture
def book(simulator):
    """Orders of a server with a fleet whose devices have keys."""
    samples.fill(simulator.state)
    for device in simulator.state.devices:
        simulator.orders.device_key(device.device_id)
    return simulator.orders


@pytest.fixture
def commander(book, operator):
    """An operator of that fleet."""
    return operator


@pytest.fixture
def done_order(book, commander):
    """An operator, orders, and the one of them that a device has done."""
    assert commander("run", "web-1", "--", "x").code == 0
    (kept,) = book.kept.values()
    return commander, book, kept


@pytest.fixture(autouse=True)
def no_ends_left():
    """Ask about what ends gpg's agents, where a test itself signed: it is a zombie until then."""
    yield
    gpg_agent.end_agents()
