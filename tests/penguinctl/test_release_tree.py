"""What of a folder becomes a release, and the file that carries it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinctl import release_file
from penguinctl.release_file import ReleaseFile
from penguinctl.release_tree import read_tree
from penguindome.envelope import Envelope
from penguindome.errors import InvalidInput, NotFound
from penguindome.orders.manifest import FileEntry
from penguindome.orders.release_body import ReleaseBody, ReleaseSettings


@pytest.fixture
def folder():
    path = Path(tempfile.mkdtemp(prefix="pd", dir="/tmp"))
    yield path
    shutil.rmtree(path)


def put(folder, path, data=b"#!/bin/sh\n", mode=0o755):
    where = folder / path
    where.parent.mkdir(parents=True, exist_ok=True)
    where.write_bytes(data)
    where.chmod(mode)


def release_of(folder, label=""):
    tree = read_tree(folder)
    return ReleaseFile(ReleaseBody(label, tree.entries), tree.contents)


def test_only_regular_files_count_and_what_editors_leave_does_not(folder):
    for name in ("plugins/mood", "commands/tidy", "data/a.txt"):
        put(folder, name)
    for name in (
        *("plugins/.#mood", "plugins/mood~", "plugins/mood.pyc", "data/__pycache__/x"),
        *(".git/config", "data/.git/HEAD", "__pycache__/y"),
    ):
        put(folder, name)
    (folder / "data/link").symlink_to("a.txt")
    (folder / "data/folder").symlink_to("/etc")
    os.mkfifo(folder / "data/pipe")
    tree = read_tree(folder)
    assert [one.path for one in tree.entries] == ["commands/tidy", "data/a.txt", "plugins/mood"]
    assert tree.skipped == ("data/folder", "data/link", "data/pipe")


def test_modes_are_two_whatever_else_a_file_has(folder):
    put(folder, "plugins/a", mode=0o750)
    put(folder, "data/b", mode=0o600)
    put(folder, "data/c", mode=0o4711)
    assert [one.mode for one in read_tree(folder).entries] == [0o644, 0o755, 0o755]


@pytest.mark.parametrize(
    ("path", "mode", "reason"),
    [
        ("plugins/mood", 0o644, "is not executable"),
        ("commands/tidy", 0o644, "is not executable"),
        ("plugins/a/b", 0o755, "plain name"),
        ("plugins/a.sh", 0o755, "plain name"),
        ("data/.hidden", 0o644, "plain relative"),
        ("data/a b", 0o644, "plain relative"),
        ("tree.json", 0o644, "reserved"),
    ],
)
def test_what_devices_could_not_use_is_refused_by_name(folder, path, mode, reason):
    put(folder, path, mode=mode)
    with pytest.raises(InvalidInput, match=reason) as error:
        read_tree(folder)
    assert error.value.subject == path


def test_names_that_differ_in_case_only_are_refused(folder):
    put(folder, "data/a")
    put(folder, "data/A")
    with pytest.raises(InvalidInput, match="in case only"):
        read_tree(folder)


def test_the_shipped_plugins_are_a_beginning_that_the_folder_overrides(folder):
    put(folder, "plugins/firewall", b"#!/bin/sh\necho mine\n")
    tree = read_tree(folder, shipped=True)
    paths = [one.path for one in tree.entries]
    assert {"plugins/firewall", "plugins/os_info"} <= set(paths)
    mine = next(one for one in tree.entries if one.path == "plugins/firewall")
    assert tree.contents[mine.sha256] == b"#!/bin/sh\necho mine\n"
    assert paths == sorted(paths)


def test_a_folder_that_is_none_is_named(folder):
    with pytest.raises(NotFound, match="no such folder"):
        read_tree(folder / "nothing")


def test_building_twice_gives_the_same_bytes_whatever_the_times_and_the_order(folder):
    names = ["plugins/a", "plugins/b", "data/c", "data/d/e"]
    for name in names:
        put(folder, f"one/{name}", name.encode())
    for name in reversed(names):
        put(folder, f"two/{name}", name.encode())
        os.utime(folder / "two" / name, (1, 1))
    one, two = release_of(folder / "one"), release_of(folder / "two")
    assert one.manifest_hash == two.manifest_hash
    assert release_file.to_bytes(one) == release_file.to_bytes(two)


def test_a_file_comes_back_as_it_was_also_signed(folder):
    put(folder, "in/plugins/a", b"1")
    put(folder, "in/data/empty", b"", 0o644)
    put(folder, "in/data/same", b"1", 0o644)
    release = release_of(folder / "in", "spring")
    release_file.write(folder / "file", release)
    assert release_file.read(folder / "file") == release


@pytest.mark.parametrize("damage", ["cut", "more", "changed", "header", "nothing"])
def test_a_damaged_file_is_refused_with_its_name(folder, damage):
    put(folder, "in/plugins/a", b"0123456789")
    data = bytearray(release_file.to_bytes(release_of(folder / "in")))
    if damage == "changed":
        data[-1] ^= 1
    damaged = {
        "cut": data[:-1],
        "more": data + b"x",
        "changed": data,
        "header": data.replace(b"penguindome-release-1", b"penguindome-release-9"),
        "nothing": b"",
    }[damage]
    (folder / "file").write_bytes(damaged)
    with pytest.raises(InvalidInput) as error:
        release_file.read(folder / "file")
    assert error.value.subject == str(folder / "file")


def test_an_envelope_about_another_release_is_refused(folder):
    put(folder, "in/plugins/a")
    release = release_of(folder / "in")
    with pytest.raises(InvalidInput):
        release.signed(Envelope("command", b"{}"))
    with pytest.raises(InvalidInput):
        release.signed(Envelope("release", b"{}"))


PATHS = st.sets(st.from_regex(r"data/[a-z][a-z0-9]{0,8}", fullmatch=True), max_size=8)


@given(PATHS, st.data(), st.text("abc", max_size=5), st.integers(1, 86400))
def test_any_release_survives_its_file(paths, data, label, seconds):
    contents, entries = {}, []
    for path in sorted(paths):
        content = data.draw(st.binary(max_size=20))
        digest = hashlib.sha256(content).hexdigest()
        contents[digest] = content
        entries.append(FileEntry(path, 0o644, len(content), digest))
    settings = ReleaseSettings(seconds, None, {"mood": seconds}, ("sshd",))
    release = ReleaseFile(ReleaseBody(label, tuple(entries), settings), contents)
    line, _, rest = release_file.to_bytes(release).partition(b"\n")
    assert release_file._parsed(line, rest) == release


@given(st.binary(max_size=200), st.binary(max_size=50))
def test_noise_is_refused_as_such(line, rest):
    with pytest.raises(InvalidInput):
        release_file._parsed(line, rest)
