"""Copy one file on the device, as the session's account: a program of its own.

It is handed to python -I -S -c as text, since the account may not be able to read where the agent
is. What it says are JSON lines on standard output before and after the file's bytes; a copy to the
device goes on where an earlier one of the same content was broken off, and appears under its name
only when it is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PIECE = 256 * 1024


def main() -> int:
    """Copy as the one JSON argument says."""
    wanted = json.loads(sys.argv[1])
    try:
        (take if wanted["to"] else give)(wanted)
    except (OSError, ValueError) as error:
        text = getattr(error, "strerror", None) or str(error)
        sys.stderr.write(f"{wanted['path']}: {text}\n")
        return 1
    return 0


def say(word: dict[str, Any]) -> None:
    """Print one line."""
    write_all(1, json.dumps(word).encode() + b"\n")


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def take(wanted: dict[str, Any]) -> None:
    """Write what comes on standard input to a file."""
    path = os.path.expanduser(wanted["path"])  # noqa: PTH111 -- pathlib takes 10 ms to import
    if path.endswith("/") or os.path.isdir(path):  # noqa: PTH112 -- as above
        path = os.path.join(path, wanted["name"])  # noqa: PTH118 -- as above
    folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 -- as above
    part = f".{name}.{wanted['sha256'][:16]}.part"
    where = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    file = os.open(part, flags, 0o600, dir_fd=where)
    status = os.fstat(file)
    # Another account that may write here would keep its hand on the file.
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid() or status.st_nlink != 1:
        raise ValueError("what an earlier copy left there is no file of ours")
    digest, offset = hashlib.sha256(), 0
    while offset < wanted["size"] and (data := os.read(file, PIECE)):
        digest.update(data)
        offset += len(data)
    if offset > wanted["size"]:
        digest, offset = hashlib.sha256(), 0
    os.ftruncate(file, offset)
    os.lseek(file, offset, os.SEEK_SET)
    say({"offset": offset})
    while offset < wanted["size"]:
        data = os.read(0, min(PIECE, wanted["size"] - offset))
        if not data:
            raise ValueError(f"the copy was broken off after {offset} bytes")
        write_all(file, data)
        digest.update(data)
        offset += len(data)
    if digest.hexdigest() != wanted["sha256"]:
        os.unlink(part, dir_fd=where)
        raise ValueError("what came is not what was sent")
    os.fchmod(file, wanted["mode"])
    os.fsync(file)
    os.rename(part, name, src_dir_fd=where, dst_dir_fd=where)
    os.fsync(where)
    say({"path": os.path.join(folder, name)})  # noqa: PTH118 -- as above


def give(wanted: dict[str, Any]) -> None:
    """Print a file from an offset on."""
    path = os.path.expanduser(wanted["path"])  # noqa: PTH111 -- as above
    # Non-blocking, so that a pipe without a writer does not hold us.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError("it is no regular file")
    size, offset = status.st_size, wanted["offset"]
    if offset > size:
        offset = 0
    say({"size": size, "mode": stat.S_IMODE(status.st_mode), "offset": offset})
    digest, place = hashlib.sha256(), 0
    while place < size:
        data = os.read(file, min(PIECE, size - place))
        if not data:
            raise ValueError("it became shorter while it was read")
        digest.update(data)
        begin = max(offset - place, 0)
        if begin < len(data):
            write_all(1, data[begin:])
        place += len(data)
    say({"sha256": digest.hexdigest()})


if __name__ == "__main__":
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
