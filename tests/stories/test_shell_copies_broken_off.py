"""Copies that are broken off, by whoever and wherever: nothing half-done, and they go on."""

import hashlib
import os
import pwd
import signal
import subprocess

import pytest

from tests.harness.fleet import Fleet
from tests.harness.process import BIN, wait_until
from tests.stories.shells import device_of, env_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]
MIB = 1024 * 1024
SIZE = 96 * MIB
NOBODY = pwd.getpwnam("nobody")


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture(scope="module")
def agent(fleet):
    return device_of(fleet)


class Copy:
    """A copy of a file of random bytes in one direction, which is to be broken off."""

    def __init__(self, fleet, agent, folder, direction):
        self.fleet, self.device, self.folder = fleet, agent.device_id(), folder
        self.source, self.target = folder / "source", folder / "target"
        self.source.write_bytes(os.urandom(SIZE))
        self.sha256 = hashlib.sha256(self.source.read_bytes()).hexdigest()
        self.words = (
            [f"{self.device}:{self.source}", str(self.target)]
            if direction == "from"
            else [str(self.source), f"{self.device}:{self.target}"]
        )

    @property
    def part(self):
        found = list(self.folder.glob(".target.*part"))
        return found[0] if found else self.folder / "none"

    def begin(self):
        """Begin it; returns penguinctl once some of it is there."""
        process = subprocess.Popen(
            [str(BIN / "penguinctl"), "cp", *self.words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=env_of(self.fleet.alice), cwd="/",
        )  # fmt: skip
        begun = lambda: self.part.exists() and self.part.stat().st_size > MIB  # noqa: E731
        wait_until(begun, 30, "nothing is copied")
        return process

    def session(self):
        """Return the newest session."""
        (found,) = self.fleet.alice.json("session", "list", "--limit", "1")["sessions"]
        return found

    def is_half_done(self):
        """Tell whether some is there, which nobody else can read, and nothing under its name."""
        status = self.part.stat()
        assert (status.st_mode & 0o777, status.st_uid) == (0o600, 0)
        return 0 < status.st_size < SIZE and not self.target.exists()

    def go_on(self):
        """Give the same command again, and find the file whole."""
        said = self.fleet.alice.run("cp", *self.words)
        assert f"{SIZE:,} bytes, SHA-256 {self.sha256}" in said
        assert self.target.read_bytes() == self.source.read_bytes()
        assert {one.name for one in self.folder.iterdir()} == {"source", "target"}


@pytest.fixture(params=["from", "to"])
def copy(request, fleet, agent, folder):
    return Copy(fleet, agent, folder, request.param)


@pytest.mark.parametrize("how", ["killed", "interrupted", "ended by an operator", "agent killed"])
def test_a_copy_that_is_broken_off_leaves_nothing_half_done_and_goes_on(fleet, agent, copy, how):
    process = copy.begin()
    if how == "killed":
        process.kill()
    elif how == "interrupted":
        process.send_signal(signal.SIGINT)
    elif how == "agent killed":
        os.kill(agent.process.pid, signal.SIGKILL)
    else:
        fleet.alice.run("session", "kill", copy.session()["session_id"], "--reason", "not this")
    if how == "agent killed":
        agent.process.wait(10)
        agent.start()
    shown, said = process.communicate(timeout=60)
    assert (process.returncode != 0, shown) == (True, "")
    assert copy.is_half_done()
    if how == "ended by an operator":
        assert "broken off: ended by alice: not this" in said
        assert "the same command goes on" in said
    if how == "interrupted":
        # Whoever leaves says so: the device need not wait for a lost link.
        wait_until(lambda: copy.session()["state"] == "cancelled", 10, copy.session())
    if how == "agent killed":
        wait_until(lambda: fleet.shown(agent)["device"]["connected"], 30, "it stays away")
    copy.go_on()


def test_a_copy_goes_on_with_what_is_there_and_that_is_looked_at(copy):
    process = copy.begin()
    process.kill()
    process.communicate(timeout=10)
    part = copy.part
    with part.open("r+b") as file:
        first = file.read(1)
        file.seek(0)
        file.write(bytes([first[0] ^ 1]))
    # It is found, so it was used; and it is not kept.
    done = copy.fleet.alice.try_run("cp", *copy.words)
    assert done.returncode in (6, 7), done
    assert "not what was sent" in done.stderr or "changed while it was copied" in done.stderr
    assert not copy.target.exists()
    assert not part.exists()
    copy.go_on()


@pytest.fixture
def theirs(folder):
    """Return a folder of nobody's."""
    folder.chmod(0o711)
    made = folder / "theirs"
    made.mkdir(mode=0o755)
    os.chown(made, NOBODY.pw_uid, NOBODY.pw_gid)
    return made


def test_a_copy_belongs_to_the_account_and_lands_where_that_may_write(fleet, agent, folder, theirs):
    source, ours = folder / "source", folder / "ours"
    source.write_bytes(b"content")
    ours.mkdir(mode=0o755)
    device = agent.device_id()
    fleet.alice.run("cp", "--user", "nobody", source, f"{device}:{theirs}/landed")
    status = (theirs / "landed").stat()
    assert (status.st_uid, status.st_gid) == (NOBODY.pw_uid, NOBODY.pw_gid)
    for options, expected in (((), 0), (("--user", "nobody"), 6)):
        said = fleet.alice.run("cp", *options, source, f"{device}:{ours}/x", status=expected)
        assert ("Permission denied" in said) == bool(expected)
        assert (ours / "x").exists() != bool(expected)
        (ours / "x").unlink(missing_ok=True)
    # A file of root's where they may write is replaced, not written: its other name stays.
    precious = ours / "precious"
    precious.write_bytes(b"before")
    os.link(precious, theirs / "taken")
    fleet.alice.run("cp", "--user", "nobody", source, f"{device}:{theirs}/taken")
    assert (precious.read_bytes(), precious.stat().st_uid) == (b"before", 0)
    assert list(ours.iterdir()) == [precious]


def test_a_copy_reads_what_the_account_may_read(fleet, agent, folder):
    folder.chmod(0o755)
    secret, target = folder / "secret", folder / "target"
    secret.write_bytes(b"secret")
    secret.chmod(0o600)
    words = (f"{agent.device_id()}:{secret}", target)
    said = fleet.alice.run("cp", "--user", "nobody", *words, status=6)
    # Nothing was copied, so there is nothing to go on with.
    assert ("Permission denied" in said, "goes on" in said) == (True, False)
    assert list(folder.iterdir()) == [secret]
    fleet.alice.run("cp", *words)
    assert target.read_bytes() == b"secret"


def test_what_cannot_be_written_here_is_said(fleet, agent, folder):
    device, source = agent.device_id(), "/etc/hostname"
    said = fleet.alice.run("cp", f"{device}:{source}", folder / "none" / "x", status=3)
    assert "no such folder here" in said
    assert "Traceback" not in fleet.alice.run("cp", f"{device}:{source}", "/proc/x", status=6)
    # Who plants a link, or another name, where a copy begins, writes to nobody's file.
    victim = folder / "victim"
    victim.write_bytes(b"b")
    for plant in (lambda path: path.symlink_to(victim), lambda path: os.link(victim, path)):
        plant(folder / ".x.part")
        said = fleet.alice.run("cp", f"{device}:{source}", folder / "x", status=6)
        assert "cannot be read or written" in said
        assert (victim.read_bytes(), (folder / "x").exists()) == (b"b", False)
        (folder / ".x.part").unlink()
    fleet.alice.run("cp", f"{device}:{source}", folder / "x")


def test_copies_that_fail_here_leave_no_session_open_there(fleet, agent, folder):
    device = agent.device_id()
    # Nothing of it can be kept: a folder stands where it would be.
    (folder / ".x.part").mkdir()
    for _ in range(10):
        said = fleet.alice.run("cp", f"{device}:/etc/hostname", folder / "x", status=6)
        assert "cannot be read or written" in said
