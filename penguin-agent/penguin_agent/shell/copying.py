"""The program that copies one file, for an order that wants it."""

from __future__ import annotations

import json
import sys
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penguindome.orders.shell_body import ShellBody

COPIER = Path(__file__).with_name("copier.py")
# What every account can run; the agent's own interpreter may be in a closed folder.
_INTERPRETER = Path("/usr/bin/python3")


def copying(body: ShellBody) -> tuple[str, ...]:
    """Return the words that run the copier as a session's account."""
    wanted = {
        "to": body.purpose == "copy-to",
        "path": body.path,
        "name": PurePosixPath(body.path).name or "file",
        "size": body.size,
        "mode": body.mode,
        "sha256": body.sha256,
        "offset": body.offset,
    }
    interpreter = str(_INTERPRETER) if _INTERPRETER.exists() else sys.executable
    return (interpreter, "-I", "-S", "-c", COPIER.read_text("utf-8"), json.dumps(wanted))
