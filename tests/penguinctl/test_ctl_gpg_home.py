"""GnuPG homes that make gpg hang or lie: penguinctl says what is wrong within ten seconds."""

import shutil
import tempfile
import time
from pathlib import Path

import pytest

from penguinctl import gpg_agent, signing
from penguindome.errors import PreconditionFailed

FLEET = "0" * 32
LONGEST_SECONDS = 10
ELSEWHERE = "      4711\nanother-machine\n"


@pytest.fixture
def homes():
    """Yield a short folder; gpg's agents in its folders are ended."""
    folder = Path(tempfile.mkdtemp(prefix="pd"))
    yield folder
    gpg_agent.end_agents()
    shutil.rmtree(folder, ignore_errors=True)


def make(home, name="alice"):
    return signing.make_key(name, FLEET, home, ours=True, passphrase="")


def refused(call, *words):
    started = time.monotonic()
    with pytest.raises(PreconditionFailed) as caught:
        call(*words)
    assert time.monotonic() - started < LONGEST_SECONDS
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("name", ["pubring.kbx.lock", "trustdb.gpg.lock"])
def test_a_lock_of_another_machine_is_named_instead_of_waited_for(homes, name):
    key = make(homes / "g")
    lock = homes / "g" / name
    lock.write_text(ELSEWHERE)
    error = refused(make, homes / "g", "bob")
    assert (error.code, error.subject) == ("keyring-locked", str(lock))
    # Signing changes no keyring, so that a key that is there still signs.
    assert signing.sign(key, "command", b"payload").signatures
    lock.unlink()
    assert make(homes / "g", "bob").fingerprint != key.fingerprint


def test_a_lock_that_a_dead_process_of_this_machine_left_is_in_nobodys_way(homes):
    make(homes / "g")
    with Path("/proc/sys/kernel/hostname").open() as file:
        (homes / "g" / "pubring.kbx.lock").write_text(f"{2**22:10d}\n{file.read().strip()}\n")
    assert make(homes / "g", "bob").fingerprint


def test_a_home_that_is_too_long_for_gpgs_agent_is_refused_by_its_name(homes, monkeypatch):
    key = make(homes / "g")
    long = homes / ("h" * 120)
    shutil.copytree(homes / "g", long, ignore=shutil.ignore_patterns("S.*"))
    assert "longer than" in refused(make, long, "bob").reason
    # Where /run/user is, gpg's sockets are there, and its homes may be as long as they like.
    monkeypatch.setattr("penguinctl.gpg_home.os.getuid", lambda: 2**31 - 2)
    moved = signing.SigningKey(key.fingerprint, long, own_home=False)
    assert "longer than" in refused(signing.sign, moved, "command", b"payload").reason
    assert "longer than" in refused(signing.existing_key, key.fingerprint, long, None).reason
    monkeypatch.setenv("GNUPGHOME", str(long))
    assert "longer than" in refused(signing.existing_key, key.fingerprint, None, None).reason
