"""Staying with a release until it needs nobody any more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from penguinctl import exits, release_view, releases, ui, wire
from penguindome.errors import Unavailable

if TYPE_CHECKING:
    from penguinctl.app import App
    from penguindome.v1 import release_pb2

_PAUSE_SECONDS = 1.0
_LISTED = 5
_GOES_ON = ("waiting", "rolling")
_ENDS = {"complete": exits.OK, "halted": exits.FAILED}


def follow(app: App, number: int) -> release_pb2.Release:
    """Tell on standard error what changes, until a release is complete, halted or over.

    Returns:
        The release as it was told last; ctrl-C ends this, not the release.
    """
    found = releases.get(app, number).release
    told: list[str] = []
    try:
        while True:
            news = list(release_view.lines(found))
            for line in news if news != told else ():
                ui.note(line)
            told = news
            if found.state not in _GOES_ON:
                return found
            time.sleep(_PAUSE_SECONDS)
            found = _look(app, found)
    except KeyboardInterrupt:
        return found


def _look(app: App, former: release_pb2.Release) -> release_pb2.Release:
    """Return a release as it is now; as it was, while the server is away."""
    request = wire.release_pb2.ListReleasesRequest(limit=_LISTED)
    try:
        listed = app.call("release.ListReleases", request).releases
        # Without all targets, as long as it is among the newest.
        found = next((one for one in listed if one.number == former.number), None)
        return releases.get(app, former.number).release if found is None else found
    except Unavailable as error:
        app.reconnect()
        ui.note(f"penguinctl: {error.text()} — trying again")
        return former


def end(found: release_pb2.Release) -> None:
    """End the command with what became of a release that was followed.

    Raises:
        click.exceptions.Exit: With 1 if it was halted or taken back, 8 if it still goes on.
    """
    code = _ENDS.get(found.state, exits.FAILED)
    if found.state in _GOES_ON:
        code = exits.WAITING
    if code:
        raise click.exceptions.Exit(code)
