"""penguind doctor: named checks of this machine and this server, each with its remedy."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from penguind.doctor.checks import CHECKS
from penguind.doctor.running import examine, worst
from penguindome.display import printable

if TYPE_CHECKING:
    from pathlib import Path

    from penguind.doctor.running import Outcome

_STATUS = {"ok": 0, "warn": 1, "fail": 2}


@click.command()
@click.option("--full", is_flag=True, help="Verify the whole ledger, not only its newest rows.")
@click.option(
    "-o",
    "--output",
    "output_format",
    type=click.Choice(["table", "json"]),
    default="table",
    show_default=True,
    help="For people or for programs.",
)
@click.pass_obj
def doctor(config: Path, *, full: bool, output_format: str) -> None:
    """Examine this server and say what is wrong and how to mend it; nothing is changed.

    Ends with 0 if all is well, 1 if something needs attention, 2 if something is broken.
    """
    outcomes = examine(CHECKS, config, full=full)
    if output_format == "json":
        value = {"status": worst(outcomes), "checks": [one.document() for one in outcomes]}
        click.echo(json.dumps(value, indent=2))
    else:
        for one in outcomes:
            _show(one)
    sys.exit(_STATUS[worst(outcomes)])


def _show(outcome: Outcome) -> None:
    colors = {"ok": "green", "warn": "yellow", "fail": "red"}
    mark = click.style(f"{outcome.status:<4}", fg=colors[outcome.status])
    click.echo(f"{mark}  {outcome.name:<18}  {printable(outcome.found)}")
    if outcome.remedy:
        click.echo(f"{'':<26}→ {printable(outcome.remedy)}")
