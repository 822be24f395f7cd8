"""Start the process that wipes so that it is nobody's child and in nobody's cgroup.

The agent's own frame would throttle it, keep it from disks, and end it together with the agent.
Source: systemd-run(1), systemd 252; setsid(1), util-linux 2.38.
"""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from penguin_agent.environment import SYSTEM_PATH, package_folders, restart_command
from penguin_agent.orders.launch import starts_units
from penguindome.errors import Unavailable

if TYPE_CHECKING:
    from penguin_agent.wipe.job import Job

_TIMEOUT_SECONDS = 60


def command(job: Job, *, systemd: bool) -> list[str]:
    """Return the words that start it: a unit of its own under systemd, else a session."""
    arguments = [str(job.state_dir), job.order_id]
    words = restart_command(arguments, package_folders(), "penguin_agent.wipe.entry")
    if not systemd:
        return ["setsid", "--fork", *words]
    unit = ["--unit", f"penguin-wipe-{job.order_id}", "--service-type=exec", "--collect"]
    frame = ["-p", "Restart=no", "-p", "OOMScoreAdjust=-900", "-p", "LimitCORE=0"]
    return ["systemd-run", "--quiet", *unit, *frame, "--", *words]


def start(job: Job) -> None:
    """Start it, and return at once.

    Raises:
        Unavailable: It cannot be started.
    """
    nothing = subprocess.DEVNULL
    try:
        done = subprocess.run(
            command(job, systemd=starts_units()),
            stdin=nothing,
            stdout=nothing,
            stderr=nothing,
            cwd="/",
            env={"PATH": SYSTEM_PATH, "LC_ALL": "C.UTF-8"},
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"the wipe cannot be started: {error}", code="not-started") from error
    if done.returncode:
        raise Unavailable(
            f"the wipe cannot be started: exit code {done.returncode}", code="not-started"
        )
