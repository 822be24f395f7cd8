from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from penguindome import durable
from penguindome.errors import LimitExceeded, NotFound, PreconditionFailed


def test_a_file_is_replaced_whole_and_private(tmp_path: Path) -> None:
    file = tmp_path / "a"
    durable.write_file(file, b"one")
    durable.write_file(file, b"two")
    assert durable.read_file(file) == b"two"
    assert file.stat().st_mode & 0o777 == 0o600
    durable.write_file(file, b"three", 0o644)
    assert file.stat().st_mode & 0o777 == 0o644
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["fsync", "write"])
def test_a_full_disk_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    file = tmp_path / "a"
    durable.write_file(file, b"old")

    def full(*_: object) -> None:
        raise OSError(number, "full")

    if step == "fsync":
        monkeypatch.setattr(os, "fsync", full)
    else:
        monkeypatch.setattr(durable, "_write_new", full)
    with pytest.raises(LimitExceeded) as caught:
        durable.write_file(file, b"new")
    assert caught.value.code == "disk-full"
    monkeypatch.undo()
    assert durable.read_file(file) == b"old"
    assert [found.name for found in tmp_path.iterdir()] == ["a"]


def test_a_symbolic_link_is_replaced_not_followed(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_bytes(b"precious")
    link.symlink_to(target)
    with pytest.raises(PreconditionFailed):
        durable.read_file(link)
    durable.write_file(link, b"new")
    assert (target.read_bytes(), durable.read_file(link)) == (b"precious", b"new")
    assert not link.is_symlink()


def test_reading_is_bounded_and_never_hangs(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * 11)
    assert durable.read_file(tmp_path / "large", 11) == b"x" * 11
    with pytest.raises(LimitExceeded):
        durable.read_file(tmp_path / "large", 10)
    os.mkfifo(tmp_path / "fifo")
    for name in ("fifo", ""):
        with pytest.raises(PreconditionFailed):
            durable.read_file(tmp_path / name)
    with pytest.raises(PreconditionFailed):
        durable.read_file(Path("/dev/zero"))
    with pytest.raises(NotFound):
        durable.read_file(tmp_path / "none")


def test_errors_name_file_and_reason(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as caught:
        durable.write_file(tmp_path / "none" / "a", b"")
    assert str(tmp_path) in caught.value.subject
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PreconditionFailed):
        durable.make_private_dir(tmp_path / "file")
    with pytest.raises(PreconditionFailed):
        durable.write_file(tmp_path / "file" / "a", b"")


def test_private_folders_and_files_are_checked(tmp_path: Path) -> None:
    folder, file = tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"
    durable.make_private_dir(folder)
    durable.make_private_dir(folder)
    durable.write_file(file, b"")
    me = os.geteuid()
    durable.check_private(folder, owner_uid=me, max_mode=0o700, directory=True)
    durable.check_private(file, owner_uid=me, max_mode=0o600, directory=False)
    file.chmod(0o640)
    with pytest.raises(PreconditionFailed) as caught:
        durable.check_private(file, owner_uid=me, max_mode=0o600, directory=False)
    assert caught.value.remedy == f"Run: chmod 0600 {file}"
    with pytest.raises(PreconditionFailed) as caught:
        durable.check_private(folder, owner_uid=me + 1, max_mode=0o700, directory=True)
    assert f"chown {me + 1} {folder}" in caught.value.remedy
    assert ("sudo" in caught.value.remedy) is (me == 0)
    link = tmp_path / "link"
    link.symlink_to(folder)
    for path, directory in ((link, True), (folder, False), (file, True)):
        with pytest.raises(PreconditionFailed):
            durable.check_private(path, owner_uid=me, max_mode=0o777, directory=directory)
    with pytest.raises(NotFound):
        durable.check_private(tmp_path / "none", owner_uid=me, max_mode=0o700, directory=True)


@pytest.mark.parametrize(("home", "sudo"), [("here", False), ("elsewhere", True), ("", True)])
def test_what_lies_at_home_is_mended_without_becoming_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str, *, sudo: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / home) if home else "/")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    path = tmp_path / "here" / "key.pem"
    with pytest.raises(PreconditionFailed) as caught:
        durable.raise_for(PermissionError(errno.EACCES, "Permission denied"), path)
    assert ("sudo" in caught.value.remedy) is sudo
    assert "owner and mode" in caught.value.remedy


def test_removing_is_repeatable(tmp_path: Path) -> None:
    file = tmp_path / "a"
    durable.write_file(file, b"")
    durable.remove_file(file)
    durable.remove_file(file)
    assert not file.exists()
