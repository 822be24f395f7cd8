"""Long tables go through the pager that the person likes."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from penguinctl import ui, view
from penguinctl.watching import Frame

if TYPE_CHECKING:
    from collections.abc import Callable

# As git has it: end where all fits on a screen, take colours, leave the text where it stands.
_LESS = "FRX"


def show(human: Callable[[], None]) -> None:
    """Print something for people; through a pager if the terminal is too short for it."""
    asked = view.current()
    command = _command() if asked.pager and not asked.watching and _at_terminal() else []
    if not command:
        human()
        return
    frame = Frame()
    try:
        with contextlib.redirect_stdout(frame):
            human()
    finally:
        text = frame.getvalue()
        if text.count("\n") < shutil.get_terminal_size((80, 24)).lines:
            sys.stdout.write(text)
            text = ""
    if text:
        sys.stdout.flush()
        _page(command, text)


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty() and ui.obeys_sequences()


def _command() -> list[str]:
    """Return the pager's command; empty for none."""
    for name in ("PENGUINCTL_PAGER", "PAGER"):
        if name in os.environ:
            try:
                words = shlex.split(os.environ[name])
            except ValueError:
                return []
            return [] if words in ([], ["cat"]) else words
    return ["less"] if shutil.which("less") else []


def _page(command: list[str], text: str) -> None:
    environment = {"LESS": _LESS, **os.environ}
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, env=environment)
    except OSError as error:
        ui.note(f"The pager {command[0]} cannot be started: {error.strerror}")
        sys.stdout.write(text)
        return
    # ctrl-C is for the pager.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with contextlib.suppress(BrokenPipeError):
            process.communicate(text.encode("utf-8", "backslashreplace"))
        process.wait()
    finally:
        signal.signal(signal.SIGINT, before)
