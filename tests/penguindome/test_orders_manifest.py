"""Lists of files: each trick by which a path could lead out of the tree, or two could be one."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.errors import InvalidInput
from penguindome.orders.manifest import (
    FILE_LIMIT_BYTES,
    FILES_LIMIT,
    FileEntry,
    check_manifest,
    check_path,
    entry_from_json,
)
from tests.penguindome.order_bodies import entries, paths, trees

DIGEST = "0" * 64
ENTRY = {"path": "plugins/a", "mode": "0755", "size": 1, "sha256": DIGEST}
TRICKS = [
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "//a",
    "a//b",
    "a/",
    "./a",
    "a/./b",
    "a/../b",
    "../a",
    "a/..",
    ".hidden",
    "a/.ssh",
    "-a",
    "a/-rf",
    "a\n",
    "a\r\n",
    "a\nb",
    "a\0",
    "a b",
    "a\\b",
    "a:b",
    "~/a",
    "$a",
    "a*",
    "é",
    "plug\u0456ns/a",
    "\u202egnp.a",
    "a\u2044b",
    "\uff0e\uff0e/a",
    "\u0661",
    "a" * 65,
    "a/" * 8 + "a",
    "/".join(["a" * 64] * 4),
    "tree.json",
    "TREE.json",
    "tree.json/a",
    "Tree.Json/plugins/a",
]


def entry(path: str, size: int = 1) -> FileEntry:
    return FileEntry(path, 0o644, size, DIGEST)


@pytest.mark.parametrize("path", TRICKS)
def test_a_path_that_is_no_plain_one_is_refused(path):
    for read in (check_path, lambda value: entry_from_json({**ENTRY, "path": value})):
        with pytest.raises(InvalidInput) as caught:
            read(path)
        assert caught.value.code == "bad-files"


@pytest.mark.parametrize("path", [None, 1, True, [], {}, ["a"], b"a"])
def test_a_path_that_is_no_text_is_refused(path):
    with pytest.raises(InvalidInput):
        check_path(path)


@given(st.text(max_size=60) | paths)
def test_a_path_that_passes_stays_beneath_its_tree(path):
    try:
        found = check_path(path)
    except InvalidInput:
        return
    pure = PurePosixPath(found)
    assert not pure.is_absolute()
    assert str(pure) == found == path
    assert not {"", ".", ".."} & set(pure.parts)
    assert found.isascii()
    assert found.isprintable()
    assert not any(part.startswith(("-", ".")) for part in pure.parts)


@given(entries)
def test_an_entry_that_is_written_is_read(one):
    assert entry_from_json(one.to_json()) == one


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "4755"},
        {"mode": "0777"},
        {"mode": "755"},
        {"mode": 493},
        {"mode": []},
        {"mode": {}},
        {"mode": None},
        {"size": -1},
        {"size": FILE_LIMIT_BYTES + 1},
        {"size": True},
        {"size": "1"},
        {"size": 1.0},
        {"size": {"$int": "1"}},
        {"sha256": DIGEST + "\n"},
        {"sha256": "F" * 64},
        {"sha256": "0" * 63},
        {"sha256": None},
        {"sha256": ["0"] * 64},
        {"owner": "root"},
    ],
)
def test_an_entry_with_another_field_mode_size_or_hash_is_refused(change):
    with pytest.raises(InvalidInput) as caught:
        entry_from_json({**ENTRY, **change})
    assert caught.value.code == "bad-files"


@given(trees)
def test_a_tree_that_folders_can_hold_is_accepted(files):
    check_manifest(files)


@pytest.mark.parametrize(
    "files",
    [
        ["plugins/a", "plugins/a"],
        ["plugins/a", "plugins/A"],
        ["plugins/a", "PLUGINS/a"],
        ["plugins/a", "plugins"],
        ["plugins", "plugins/a/b/c"],
        ["plugins/a/b", "Plugins/A"],
    ],
)
def test_two_files_that_are_one_place_are_refused(files):
    with pytest.raises(InvalidInput):
        check_manifest([entry(path) for path in files])


def test_too_many_or_too_large_files_are_refused():
    check_manifest([entry(f"f{number}") for number in range(FILES_LIMIT)])
    with pytest.raises(InvalidInput):
        check_manifest([entry(f"f{number}") for number in range(FILES_LIMIT + 1)])
    check_manifest([entry(f"f{number}", FILE_LIMIT_BYTES) for number in range(16)])
    with pytest.raises(InvalidInput):
        check_manifest([entry(f"f{number}", FILE_LIMIT_BYTES) for number in range(17)])
