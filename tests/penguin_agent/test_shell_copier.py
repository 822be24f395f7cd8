"""The copier on the device: whole files or none, and no other account's hand on them."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguin_agent.shell.copying import COPIER

USUAL = {"to": True, "name": "sent", "mode": 0o640, "offset": 0}


def copier(data=b"", **wanted):
    """Run the copier as a session does; return its status, what it said and what it wrote."""
    words = [sys.executable, "-I", "-S", "-c", COPIER.read_text(), json.dumps(USUAL | wanted)]
    done = subprocess.run(words, input=data, capture_output=True, check=False, timeout=30)
    return done.returncode, done.stdout, done.stderr.decode()


def send(path, data, **more):
    digest = hashlib.sha256(data).hexdigest()
    return copier(more.pop("sent", data), path=str(path), size=len(data), sha256=digest, **more)


def part_of(path, data):
    return path.with_name(f".{path.name}.{hashlib.sha256(data).hexdigest()[:16]}.part")


def fetch(path, offset=0):
    """Return what a copy from the device holds, and the size and hash that were said."""
    status, said, errors = copier(to=False, path=str(path), offset=offset)
    assert status == 0, errors
    head, _, rest = said.partition(b"\n")
    first = json.loads(head)
    body = rest[: first["size"] - first["offset"]]
    last = json.loads(rest[len(body) :])
    return body, first, last["sha256"]


def test_a_file_arrives_whole_with_its_mode(tmp_path):
    path = tmp_path / "there"
    assert send(path, b"content")[0] == 0
    assert path.read_bytes() == b"content"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert send(tmp_path, b"into a folder")[0] == 0
    assert (tmp_path / "sent").read_bytes() == b"into a folder"
    assert {one.name for one in tmp_path.iterdir()} == {"there", "sent"}


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 700_000), st.floats(0, 1), st.floats(0, 1))
def test_a_copy_goes_on_where_it_was_broken_off(size, first, second):
    data = os.urandom(size)
    with tempfile.TemporaryDirectory(prefix="pd") as name:
        path = Path(name) / "file"
        for share in sorted((first, second)):
            held = part_of(path, data)
            before = held.stat().st_size if held.exists() else 0
            end = max(int(size * share), before)
            status, said, _ = send(path, data, sent=data[before:end])
            assert json.loads(said.splitlines()[0])["offset"] == before
            if status == 0:
                break
        if not path.exists():
            before = part_of(path, data).stat().st_size
            assert send(path, data, sent=data[before:])[0] == 0
        assert path.read_bytes() == data
        assert list(Path(name).iterdir()) == [path]
        offset = int(size * first)
        assert fetch(path, offset)[::2] == (data[offset:], hashlib.sha256(data).hexdigest())


def test_what_is_not_what_was_sent_does_not_appear(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"before")
    status, _, errors = send(path, b"content", sent=b"CONTENT")
    assert (status, "not what was sent" in errors) == (1, True)
    # A damaged beginning of an earlier copy is found, too, and not kept.
    part_of(path, b"content").write_bytes(b"CON")
    assert send(path, b"content", sent=b"tent")[0] == 1
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"before"


def test_a_link_is_replaced_and_not_followed(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"precious")
    link.symlink_to(target)
    assert send(link, b"content")[0] == 0
    assert (target.read_bytes(), link.is_symlink()) == (b"precious", False)
    planted = part_of(tmp_path / "file", b"content")
    planted.symlink_to(target)
    assert send(tmp_path / "file", b"content")[0] == 1
    assert target.read_bytes() == b"precious"


def test_another_name_of_what_was_begun_is_refused(tmp_path):
    target = tmp_path / "target"
    target.write_bytes(b"")
    os.link(target, part_of(tmp_path / "file", b"content"))
    status, _, errors = send(tmp_path / "file", b"content")
    assert (status, "no file of ours" in errors) == (1, True)
    assert target.read_bytes() == b""


@pytest.mark.root
def test_another_accounts_beginning_is_refused(tmp_path):
    planted = part_of(tmp_path / "file", b"content")
    planted.write_bytes(b"")
    os.chown(planted, 65534, 65534)
    assert send(tmp_path / "file", b"content")[0] == 1
    assert not (tmp_path / "file").exists()


def test_what_is_no_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(part_of(tmp_path / "file", b"content"))
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero"), tmp_path / "none"):
        status, said, errors = copier(to=False, path=str(path))
        assert (status, said) == (1, b""), errors
    assert send(tmp_path / "file", b"content")[0] == 1
    assert "No such file" in send(tmp_path / "none" / "file", b"content")[2]


def test_an_offset_behind_the_end_begins_anew(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    assert fetch(tmp_path / "file", 100)[0] == b"content"
    assert fetch(tmp_path / "file", 7)[0] == b""


@pytest.mark.root
def test_permissions_are_the_accounts(tmp_path):
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "file").chmod(0o600)
    words = json.dumps(USUAL | {"to": False, "path": str(tmp_path / "file")})
    as_nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
    done = subprocess.run(
        [*as_nobody, "/usr/bin/python3", "-I", "-S", "-c", COPIER.read_text(), words],
        capture_output=True, check=False, timeout=30,
    )  # fmt: skip
    assert (done.returncode, b"Permission denied" in done.stderr) == (1, True)
