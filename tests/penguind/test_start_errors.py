"""What hinders a start is said with its reason and remedy, by the installed program."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest

from penguindome import certs
from tests.harness.process import environment
from tests.harness.server import Server


@pytest.fixture
def server():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    folder.chmod(0o711)
    found = Server(folder / "s")
    found.setup()
    yield found
    found.stop()
    shutil.rmtree(folder)


def refused(server, *prefix, seconds=60):
    """Start a server that cannot; return the last line that it said."""
    done = subprocess.run(
        [*prefix, *server.words("run")],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        cwd="/",
        env=environment(HOME="/nonexistent"),
    )
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    said = done.stderr.strip().splitlines()[-1]
    assert said.startswith("penguind: ")
    assert "—" in said, f"no remedy: {said}"
    return said


def test_an_expired_certificate_is_named(server):
    state = server.folder / "state"
    authority, key = (state / "authority" / name for name in ("anchor.pem", "anchor-key.pem"))
    now = datetime.now(UTC)
    own = certs.generate_key()
    ended = certs.issue(
        authority_pem=authority.read_bytes(),
        authority_key_pem=key.read_bytes(),
        spki=certs.key_spki(own),
        dns_names=("x",),
        client=False,
        not_before=now - timedelta(days=2),
        not_after=now - timedelta(days=1),
    )
    # In place, so that owner and mode stay.
    (state / "tls/server-key.pem").write_bytes(own)
    (state / "tls/server.pem").write_bytes(ended)
    said = refused(server)
    assert str(state / "tls/server.pem") in said
    assert f"{now - timedelta(days=1):%Y-%m-%d}" in said


def test_a_database_that_may_not_write_ends_the_start_with_its_last_words(server):
    said = refused(server, "prlimit", "--fsize=65536", "--")
    assert "database" in said
    assert "disk full" in said
    assert "mongod.log" in said


@contextmanager
def small_disk(server, size_bytes):
    mongo = server.folder / "state/mongo"
    owner = mongo.stat()
    options = f"size={size_bytes},uid={owner.st_uid},gid={owner.st_gid},mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "none", mongo]
    subprocess.run(mount, check=True, capture_output=True, timeout=10)
    try:
        yield mongo
    finally:
        server.stop()
        subprocess.run(["umount", mongo], check=True, timeout=10)


@pytest.mark.root
def test_a_full_disk_ends_the_start_with_the_databases_last_words(server):
    with small_disk(server, 256 << 10):
        said = refused(server)
    # Its own log is on that disk too, so its last words may be missing.
    assert "disk full" in said


@pytest.mark.root
def test_a_disk_that_fills_is_named_and_room_on_it_is_used_again(server):
    with small_disk(server, 24 << 20) as mongo:
        server.start()
        with suppress(OSError), (mongo / "fill").open("wb", buffering=0) as file:
            while file.write(bytes(1 << 16)):
                pass
        said = invitation_refused(server)
        assert "the database's disk is full" in said
        # Nothing of what was to be written.
        assert "roles" not in said
        (mongo / "fill").unlink()
        server.run("operator", "invite", "zoe")
        assert "Traceback" not in server.log()


def invitation_refused(server):
    """Invite until there is no room even inside the database's files."""
    for number in range(30):
        done = subprocess.run(
            server.words("operator", "invite", f"bob{number}"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd="/",
            env=environment(HOME="/nonexistent"),
        )
        if done.returncode:
            assert "Traceback" not in done.stderr
            return done.stderr
    raise AssertionError("there was room")
