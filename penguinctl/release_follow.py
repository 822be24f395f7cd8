"""Staying with a release until it needs nobody any more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from penguinctl import exits, release_view, releases, ui
from penguindome.errors import Unavailable

if TYPE_CHECKING:
    from penguinctl.app import App
    from penguindome.v1 import release_pb2

_PAUSE_SECONDS = 1.0
_ENDS = {"complete": exits.OK, "halted": exits.FAILED}


def follow(app: App, number: int) -> release_pb2.Release:
    """Tell on standard error what changes, until a release is complete, halted or over.

    Returns:
        The release as it was told last; ctrl-C ends this, not the release.
    """
    told: list[str] = []
    while True:
        try:
            found = releases.get(app, number).release
        except Unavailable as error:
            app.reconnect()
            news = [f"penguinctl: {error.text()} — trying again"]
        else:
            news = list(release_view.lines(found))
        for line in news if news != told else ():
            ui.note(line)
        told = news
        if not news[0].startswith("penguinctl:") and found.state not in ("waiting", "rolling"):
            return found
        try:
            time.sleep(_PAUSE_SECONDS)
        except KeyboardInterrupt:
            return found


def end(found: release_pb2.Release) -> None:
    """End the command with what became of a release that was followed.

    Raises:
        click.exceptions.Exit: With 1 if it was halted or taken back, 8 if it still goes on.
    """
    code = _ENDS.get(found.state, exits.FAILED)
    if found.state in ("waiting", "rolling"):
        code = exits.WAITING
    if code:
        raise click.exceptions.Exit(code)
