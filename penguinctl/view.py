"""How this run shows its answer: what options that every command shares asked for."""

from __future__ import annotations

from dataclasses import dataclass

import click

_KEY = "penguinctl.view"


@dataclass(slots=True)
class View:
    """What was asked for, and where a watch is.

    Attributes:
        columns: The fields to show, in order; none for the usual ones.
        sort: The fields to sort by; those that begin with "-" backwards.
        watch_seconds: How long to pause between rounds; None to show once.
        pager: Whether a long table may go through a pager.
        round: Which round of a watch this is, from 0 on.
    """

    columns: tuple[str, ...] = ()
    sort: tuple[str, ...] = ()
    watch_seconds: float | None = None
    pager: bool = True
    round: int = 0

    @property
    def watching(self) -> bool:
        """Tell whether the answer is shown again and again."""
        return self.watch_seconds is not None


def current() -> View:
    """Return the view of the command that runs."""
    context = click.get_current_context(silent=True)
    if context is None:
        return View()
    view: View = context.meta.setdefault(_KEY, View())
    return view
