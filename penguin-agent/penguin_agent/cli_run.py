"""`penguin-agent run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguin_agent import daemon

if TYPE_CHECKING:
    import argparse

    from penguin_agent.config import Settings


def run(_options: argparse.Namespace, settings: Settings) -> int:
    """Run the daemon until it is told to stop."""
    daemon.run(settings)
    return 0
