"""Another user of the same machine, without any privilege."""

import json
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.harness.process import environment

UID = 54_321
# The system's own Python: a checkout may lie in a folder that is closed to others.
PYTHON = "/usr/bin/python3"

_CONNECT = """
import json, socket, sys
for path in sys.argv[1:]:
    with socket.socket(socket.AF_UNIX) as door:
        try:
            door.connect(path)
        except OSError as error:
            print(json.dumps([path, type(error).__name__]))
        else:
            print(json.dumps([path, ""]))
"""
_OPEN = """
import json, os, sys
for path in sys.argv[1:]:
    for flags in (os.O_RDONLY, os.O_WRONLY):
        try:
            os.close(os.open(path, flags))
        except OSError as error:
            print(json.dumps([path, type(error).__name__]))
        else:
            print(json.dumps([path, ""]))
"""
_ASK = """
import json, socket, sys
with socket.socket(socket.AF_UNIX) as door:
    door.settimeout(10)
    door.connect(sys.argv[1])
    door.sendall(sys.argv[2].encode() + b"\\n")
    print(door.makefile().readline())
"""


def connect(paths: Iterable[Path], *, uid: int = UID) -> set[str]:
    """Return what becomes of connecting to sockets: names of errors, "" for success."""
    return {what for _, what in _lines(_CONNECT, paths, uid)}


def open_files(paths: Iterable[Path], *, uid: int = UID) -> set[str]:
    """Return what becomes of opening files to read and to write."""
    return {what for _, what in _lines(_OPEN, paths, uid)}


def ask(path: Path, request: dict[str, Any], *, uid: int = UID) -> dict[str, Any]:
    """Send one line to a control socket and return the answer."""
    (answer,) = _lines(_ASK, [path, Path(json.dumps(request))], uid)
    assert isinstance(answer, dict)
    return answer


def _lines(code: str, words: Iterable[Path], uid: int) -> list[Any]:
    who = (f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--bounding-set=-all")
    done = subprocess.run(
        ["setpriv", *who, "--", PYTHON, "-I", "-c", code, *map(str, words)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        cwd="/",
        env=environment(),
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.strip()]
