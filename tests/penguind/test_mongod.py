from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

import pytest
from pymongo.errors import OperationFailure

from penguind.mongod import paths as mongod_paths
from penguind.mongod.child import Mongod, log_tail, socket_uri
from penguind.store.database import open_database
from penguindome.errors import PreconditionFailed, Unavailable
from tests.harness.database import child_mongod

HOLDER = """
import asyncio, sys
from pathlib import Path
from penguind.mongod.child import Mongod

async def main():
    mongod = Mongod(Path(sys.argv[1]))
    await mongod.start()
    print(mongod.pid, flush=True)
    await mongod.run()

asyncio.run(main())
"""


@pytest.fixture
def state_dir():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def gone(pid, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            status = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if status == "Z":
            return True
        time.sleep(0.02)
    return False


def wait_for(ready, seconds=10):
    deadline = time.monotonic() + seconds
    while not (answer := ready()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return answer


def children(pid):
    try:
        return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def users_of(state_dir):
    """Return the processes whose command line names the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if str(state_dir).encode() in words:
            found.append(int(process.name))
    return found


async def count(uri):
    database = await open_database(uri, "t")
    try:
        return await database.db["things"].count_documents({})
    finally:
        await database.close()


async def insert(uri):
    database = await open_database(uri, "t")
    try:
        await database.db["things"].insert_one({})
    finally:
        await database.close()


async def outlive_a_kill(state_dir):
    mongod = Mongod(state_dir)
    uri = await mongod.start()
    assert socket_uri(state_dir) == uri
    socket = mongod_paths.prepare_paths(state_dir).socket
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    with pytest.raises(PreconditionFailed, match="another penguind"):
        await Mongod(state_dir).start()
    await insert(uri)
    first = mongod.pid
    watching = asyncio.create_task(mongod.run())
    os.kill(first, signal.SIGKILL)
    # The client waits for the next one by itself.
    assert await count(uri) == 1
    await mongod.stop()
    await watching
    return first


def test_data_survives_a_killed_database_and_only_one_server_owns_it(state_dir):
    assert gone(asyncio.run(outlive_a_kill(state_dir)))


def test_queries_run_no_script():
    async def story(uri):
        database = await open_database(uri, "t")
        try:
            with pytest.raises(OperationFailure, match=r"(?i)script"):
                await database.db["things"].find_one({"$where": "true"})
        finally:
            await database.close()

    with child_mongod() as uri:
        asyncio.run(story(uri))


def test_moved_state_folder_still_works(state_dir):
    async def story():
        one, two = state_dir / "one", state_dir / "two"
        one.mkdir()
        mongod = Mongod(one)
        await insert(await mongod.start())
        await mongod.stop()
        one.rename(two)
        mongod = Mongod(two)
        assert await count(await mongod.start()) == 1
        await mongod.stop()

    asyncio.run(story())


def test_killed_server_leaves_no_orphan_and_can_start_again(state_dir):
    def start():
        holder = subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(state_dir)], stdout=subprocess.PIPE, text=True
        )
        return holder, int(holder.stdout.readline())

    for _ in range(2):
        holder, pid = start()
        with holder:
            holder.kill()
        assert gone(pid)


def test_server_killed_while_it_starts_the_database_leaves_no_orphan(state_dir):
    for turn in range(12):
        words = [sys.executable, "-c", HOLDER, str(state_dir)]
        holder = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        # Between the spawn and the first line of the new mongod, at various points.
        while not children(holder.pid) and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(turn * 0.0003)
        holder.kill()
        holder.wait()
        assert wait_for(lambda: not users_of(state_dir)), "a mongod runs without its penguind"


def test_crash_loop_ends_with_the_last_words(state_dir):
    broken = state_dir / "mongod"
    broken.write_text("#!/bin/sh\necho 'libcurl.so.4: not found' >&2\nexit 127\n")
    broken.chmod(0o700)

    async def story():
        mongod = Mongod(state_dir, executable=broken)
        with pytest.raises(Unavailable, match=r"libcurl\.so\.4: not found"):
            await mongod.start()
        # The data is given back.
        mongod_paths.take_lock(mongod_paths.prepare_paths(state_dir)).close()

    asyncio.run(story())


def test_missing_mongod_says_what_to_do(state_dir, monkeypatch):
    monkeypatch.setattr(mongod_paths, "find_mongod", lambda: None)
    with pytest.raises(PreconditionFailed) as caught:
        asyncio.run(Mongod(state_dir).start())
    assert "database.uri" in caught.value.remedy
    assert "penguindome[embedded]" in caught.value.remedy


def test_long_state_folder_gets_a_short_socket(state_dir):
    deep = state_dir / ("x" * 90)
    deep.mkdir()
    paths = mongod_paths.prepare_paths(deep)
    try:
        assert len(os.fsencode(paths.socket)) <= mongod_paths.SOCKET_PATH_BYTES
        assert paths.socket.parent.stat().st_mode & 0o777 == 0o700
        paths.socket.parent.chmod(0o755)
        with pytest.raises(PreconditionFailed, match="not ours"):
            mongod_paths.prepare_paths(deep)
    finally:
        paths.socket.parent.rmdir()


def test_no_socket_means_no_database_runs(state_dir):
    with pytest.raises(PreconditionFailed, match="no database runs here"):
        socket_uri(state_dir)


def test_log_tail_prefers_errors(state_dir):
    path = state_dir / "log"
    path.write_text(
        '{"s":"I","msg":"Hello"}\n{"s":"E","msg":"Disk \\u001b full","attr":{"n":1}}\n'
        '{"s":"I","msg":"Bye"}\n'
    )
    tail = log_tail(path)
    assert tail.startswith("Disk ")
    assert "\x1b" not in tail
    assert "Bye" not in tail
