"""`penguin-agent release rollback`: root's way back when the release in force does harm."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from penguin_agent import cli_print
from penguin_agent.daemon import check_state, hold_lock
from penguin_agent.identity import read_device
from penguin_agent.release.making import make_releases
from penguin_agent.trust_store import TrustStore
from penguindome.errors import AlreadyExists, PreconditionFailed

if TYPE_CHECKING:
    import argparse

    from penguin_agent.config import Settings


def rollback(_options: argparse.Namespace, settings: Settings) -> int:
    """Put the release before the one in force back; the daemon must not run."""
    state_dir = settings.paths.state_dir
    check_state(state_dir)
    try:
        lock = hold_lock(state_dir)
    except AlreadyExists:
        raise PreconditionFailed(
            "the agent runs", code="agent-runs", remedy="Stop it: systemctl stop penguin-agent"
        ) from None
    try:
        device = read_device(state_dir / "identity" / "device.json")
        if device is None:
            raise PreconditionFailed("this device is not enrolled", code="not-enrolled")
        releases = make_releases(settings.paths, device, TrustStore(state_dir / "trust"))
        name = str(releases.step_back())
    finally:
        os.close(lock)
    words = "the package's own release" if name == "0" else f"release {name}"
    cli_print.line(f"From the next start on, {words} is in force.")
    return 0
