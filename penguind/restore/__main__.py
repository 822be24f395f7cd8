"""The part of a restore that runs as the service's user: stage or finish, and the state folder.

The backup comes on standard input. `penguind restore` starts this module; nobody else has to.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from penguind.config import load_settings
from penguind.restore.places import Places
from penguind.restore.staging import finish, stage
from penguindome.display import printable
from penguindome.errors import PenguinDomeError
from penguindome.times import utc_now


def main(verb: str, state_dir: str) -> int:
    """Do one step; return the exit status."""
    os.umask(0o077)
    places = Places(Path(state_dir))
    try:
        settings = load_settings(places.settings)
        if verb == "stage":
            asyncio.run(stage(places, settings, sys.stdin.buffer, utc_now))
        else:
            asyncio.run(finish(settings))
    except PenguinDomeError as error:
        sys.stderr.write(f"{printable(error.text())}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
