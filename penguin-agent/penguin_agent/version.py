"""Which version of the agent this is."""

from __future__ import annotations

import re
import sys
from pathlib import Path

_INSTALLED = re.compile(r"penguindome-([0-9][0-9A-Za-z.+!]*?)(?:-py[0-9.]+)?[.](?:dist|egg)-info")


def agent_version() -> str:
    """Return the installed version; importlib.metadata would cost 1.5 MB of memory for it."""
    for folder in sys.path:
        for path in sorted(Path(folder).glob("penguindome-*-info")):
            if match := _INSTALLED.fullmatch(path.name):
                return match[1]
    return "0"
