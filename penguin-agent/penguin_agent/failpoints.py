"""Die on purpose at a named point, so that tests can prove that any crash is survived."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Failpoint = Callable[[str], None]

VARIABLE = "PD_FAILPOINT"


def no_failpoint(_name: str) -> None:
    """Do nothing: what every installation has."""


def make_failpoint(*, enabled: bool, environ: Mapping[str, str]) -> Failpoint:
    """Return a function that kills this process at the point that PD_FAILPOINT names.

    `enabled` is the settings file's word ([debug] failpoints): the environment alone does nothing.
    """
    chosen = environ.get(VARIABLE, "")
    if not enabled or not chosen:
        return no_failpoint

    def failpoint(name: str) -> None:
        if name == chosen:
            os.kill(os.getpid(), signal.SIGKILL)

    return failpoint
