"""Tell whether the machine changed its state while plugins ran (it boots or goes down).

What plugins see during shutdown is not the machine's posture: services are gone, disks unmounted.
The tools' answers before and after are compared; tools that the machine lacks say nothing.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from penguin_agent.collect.child import Job, run_child
from penguin_agent.collect.limits import SYSTEM_PATH, RunLimits
from penguin_agent.collect.result import Cause

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

_TOOLS = (
    ("systemctl", "list-units", "--type", "target", "--no-legend", "--plain"),
    ("runlevel",),
    ("who", "-r"),
)
# Targets that come and go with hardware and say nothing about the state of the system.
_HARDWARE_TARGETS = ("bluetooth.target", "printer.target", "smartcard.target", "sound.target")
_DEADLINE = timedelta(seconds=10)


class RebootGuard:
    """Look at the machine's state twice and compare.

    Args:
        run: runs a tool and returns its standard output, None when it failed.
    """

    def __init__(self, run: Callable[[tuple[str, ...]], Awaitable[str | None]]) -> None:
        self._run = run

    async def look(self) -> Mapping[str, str]:
        """Return each tool's answer by its name; tools without an answer are left out."""
        answers = {words[0]: await self._run(words) for words in _TOOLS}
        return {name: settled(name, text) for name, text in answers.items() if text is not None}


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return the tools whose answer changed; one that failed either time does not count."""
    return tuple(sorted(name for name in before if name in after and before[name] != after[name]))


def settled(name: str, text: str) -> str:
    """Return a tool's answer without what flaps."""
    if name != "systemctl":
        return text.strip()
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "\n".join(sorted(line for line in lines if not line.startswith(_HARDWARE_TARGETS)))


async def run_tool(words: tuple[str, ...]) -> str | None:
    """Return what a tool of the system prints, None when there is no such tool or it fails."""
    path = shutil.which(words[0], path=SYSTEM_PATH)
    if path is None:
        return None
    environment = {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"}
    job = Job((path, *words[1:]), environment, Path("/"), RunLimits(), _DEADLINE)
    ended = await run_child(job)
    if ended.cause is not Cause.EXIT or ended.code != 0:
        return None
    return ended.stdout.decode(errors="replace")
