"""Removing what is in a folder, while somebody tries to lead it elsewhere."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from penguin_agent.wipe.walk import DEEPEST, erase, measure, open_home, refuse_root
from penguindome.errors import PreconditionFailed

FOLDER = os.O_RDONLY | os.O_DIRECTORY
ROUNDS = 60


@contextmanager
def opened(path):
    descriptor = os.open(path, FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def erased(path):
    with opened(path) as top:
        return erase(top)


@pytest.fixture
def home(tmp_path):
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def outside(tmp_path):
    """Return a folder that nobody may touch."""
    path = tmp_path / "outside"
    (path / "folder").mkdir(parents=True)
    (path / "file").write_bytes(b"kept")
    (path / "folder/file").write_bytes(b"kept")
    return path


def untouched(outside):
    return {str(path.relative_to(outside)) for path in outside.rglob("*")} == {
        "file",
        "folder",
        "folder/file",
    }


def test_everything_goes_and_the_folder_stays(home, outside):
    (home / "a/b/c").mkdir(parents=True)
    (home / "a/b/c/file").write_bytes(b"123")
    (home / ".hidden").write_bytes(b"12")
    (home / "link").symlink_to(outside)
    (home / "broken").symlink_to("nowhere")
    (home / "a name\nwith \udcff").write_bytes(b"")
    os.mkfifo(home / "fifo")
    with socket.socket(socket.AF_UNIX) as channel, suppress(OSError):
        channel.bind(str(home / "s"))
    with opened(home) as top:
        counted = measure(top)
    tally = erased(home)
    assert (tally.files, tally.folders, tally.left) == (counted.files, 3, 0)
    assert counted.folders == 3
    assert list(home.iterdir()) == []
    assert untouched(outside)


def test_measuring_changes_nothing(home):
    (home / "a").mkdir()
    (home / "a/file").write_bytes(b"123")
    with opened(home) as top:
        assert measure(top).size_bytes == 3
    assert (home / "a/file").read_bytes() == b"123"


def test_a_file_with_a_second_name_elsewhere_is_kept_there(home, outside):
    os.link(outside / "file", home / "file")
    erased(home)
    assert (outside / "file").read_bytes() == b"kept"


def test_folders_deeper_than_any_path_may_be_long(home):
    descriptor = os.open(home, FOLDER)
    for _ in range(3000):
        os.mkdir("d" * 20, dir_fd=descriptor)
        deeper = os.open("d" * 20, FOLDER, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = deeper
    os.close(descriptor)
    with opened(home) as top:
        counted = measure(top)
    assert (counted.folders, counted.uncounted) == (DEEPEST, 1)
    tally = erased(home)
    assert (tally.folders, tally.left) == (3000, 0)
    assert list(home.iterdir()) == []


def test_more_deep_folders_than_may_be_open_at_once(home):
    deep = home.joinpath(*["d"] * DEEPEST)
    deep.mkdir(parents=True)
    for number in range(1500):
        (deep / str(number) / "more").mkdir(parents=True)
    assert erased(home).left == 0
    assert list(home.iterdir()) == []


def test_the_root_of_the_machine_is_refused(tmp_path):
    with pytest.raises(PreconditionFailed, match="root of the machine"):
        refuse_root(Path("/").stat())
    refuse_root(tmp_path.stat())


@pytest.mark.parametrize("path", ["/link/inner", "/folder/link", "/file"])
def test_a_home_is_not_opened_through_a_link_or_a_file(tmp_path, path):
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "folder/link").symlink_to("inner")
    (tmp_path / "file").write_bytes(b"")
    os.close(open_home(tmp_path, "/folder/inner"))
    with pytest.raises(OSError, match=r"directory|symbolic"):
        open_home(tmp_path, path)


def exchange(stop, folder, target):
    """Put a folder and a link to the target under one name in turn, as fast as it goes."""
    aside = folder.with_name("aside")
    link = folder.with_name("link")
    while not stop.is_set():
        with suppress(OSError):
            link.symlink_to(target)
        with suppress(OSError):
            folder.rename(aside)
        with suppress(OSError):
            link.rename(folder)
        with suppress(OSError):
            folder.unlink()
        with suppress(OSError):
            aside.rename(folder)


@pytest.fixture
def swapping(home, outside):
    """Exchange home/folder for a link to the outside until the test is over."""
    stop = threading.Event()
    thread = threading.Thread(target=exchange, args=(stop, home / "folder", outside))
    thread.start()
    yield
    stop.set()
    thread.join(30)


@pytest.mark.usefixtures("swapping")
def test_a_folder_that_is_swapped_for_a_link_leads_nowhere(home, outside):
    for _ in range(ROUNDS):
        for number in range(10):
            with suppress(OSError):
                (home / "folder" / str(number)).mkdir(parents=True)
        # The name may be the link just now: what is then made outside is the test's own.
        for path in outside.iterdir():
            if path.name.isdigit():
                path.rmdir()
        erased(home)
        assert untouched(outside)


def test_a_home_that_is_swapped_for_a_link_is_not_entered(tmp_path, home, outside):
    stop = threading.Event()
    thread = threading.Thread(target=exchange, args=(stop, home, outside))
    thread.start()
    try:
        for _ in range(ROUNDS * 10):
            try:
                descriptor = open_home(tmp_path, "/home")
            except OSError:
                continue
            found = os.fstat(descriptor)
            os.close(descriptor)
            assert found.st_ino != outside.stat().st_ino
    finally:
        stop.set()
        thread.join(30)


def test_what_is_made_while_erasing_goes_too_or_is_told(home):
    stop = threading.Event()

    def make():
        number = 0
        while not stop.is_set():
            number += 1
            with suppress(OSError):
                (home / "folder" / str(number % 7)).mkdir(parents=True)
                (home / "folder" / str(number % 7) / str(number)).write_bytes(b"")

    thread = threading.Thread(target=make)
    thread.start()
    try:
        tally = erased(home)
    finally:
        stop.set()
        thread.join(30)
    assert tally.left == len(tally.reasons)
    erased(home)
    assert list(home.iterdir()) == []
