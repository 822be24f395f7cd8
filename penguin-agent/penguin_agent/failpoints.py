"""Die on purpose at a named point, so that tests can prove that any crash is survived."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Failpoint = Callable[[str], None]

VARIABLE = "PD_FAILPOINT"


def no_failpoint(_name: str) -> None:
    """Do nothing: what every installation has."""


def make_failpoint(
    *, enabled: bool, environ: Mapping[str, str], victims: Sequence[int] = ()
) -> Failpoint:
    """Return a function that kills at the point that PD_FAILPOINT names.

    `enabled` is the settings file's word ([debug] failpoints): the environment alone does nothing.
    `victims` are the processes to kill, the last one this one; only this one without them.
    """
    chosen = environ.get(VARIABLE, "")
    if not enabled or not chosen:
        return no_failpoint

    def failpoint(name: str) -> None:
        if name == chosen:
            for victim in victims or (os.getpid(),):
                os.kill(victim, signal.SIGKILL)

    return failpoint
