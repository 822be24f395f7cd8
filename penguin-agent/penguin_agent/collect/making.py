"""Make a collector from the agent's settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguin_agent.clock import boottime
from penguin_agent.collect.collector import Collector, CollectSettings
from penguin_agent.collect.limits import RunLimits

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime, timedelta
    from pathlib import Path

    from penguin_agent.collect.discovery import Signed
    from penguin_agent.config import Settings


def make_collector(
    settings: Settings,
    now: Callable[[], datetime],
    *,
    work_dir: Path | None = None,
    var_dir: Path | None = None,
    signed: Callable[[timedelta], Signed | None] = lambda _deadline: None,
) -> Collector:
    """Return a collector for these settings."""
    paths, run = settings.paths, settings.run
    return Collector(
        CollectSettings(
            shipped=paths.plugins,
            local=paths.local_plugins,
            var_dir=var_dir or paths.state_dir / "plugins-var",
            work_dir=work_dir or paths.state_dir / "plugins-work",
            settings=paths.settings,
            parallel=run.parallel,
            deadline=run.deadline,
            limits=RunLimits(stdout_bytes=run.output_limit_bytes),
        ),
        clock=now,
        monotonic=boottime,
        signed=signed,
    )
