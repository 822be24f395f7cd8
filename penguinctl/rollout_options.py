"""Options that say how a release reaches the fleet, and what they mean on the wire."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from penguinctl import wire
from penguinctl.options import reason_option
from penguindome.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penguindome.v1 import order_pb2

_SHARE = re.compile(r"([0-9]{1,3})%")


def rollout_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a rollout."""
    options = (
        click.option(
            "--ring",
            "rings",
            multiple=True,
            metavar="NAME=SELECTOR,...|[NAME=]N%",
            help="Who gets it first: canary=label:canary, or up to 10% of all devices. May be "
            "repeated, in order; everybody else comes last. [default: all at once]",
        ),
        click.option("--automatic", is_flag=True, help="Open the next ring once one is good."),
        click.option(
            "--soak",
            default="1d",
            show_default=True,
            metavar="DURATION",
            help="With --automatic: how long a ring has to stay good before that.",
        ),
        click.option(
            "--healthy",
            type=click.IntRange(1, 100),
            default=90,
            show_default=True,
            metavar="PERCENT",
            help="A ring is good while so many of each hundred devices that took it are well; "
            "fewer halt the release.",
        ),
        click.option(
            "--ttl",
            default="120d",
            show_default=True,
            metavar="DURATION",
            help="After which no device takes it any more.",
        ),
        reason_option,
        click.option("--follow", is_flag=True, help="Stay and show how it goes; ctrl-C ends that."),
    )
    for option in reversed(options):
        function = option(function)
    return function


def plan(
    *, rings: Sequence[str], automatic: bool, soak: str, healthy: int
) -> order_pb2.RolloutPlan:
    """Return the plan that options mean.

    Raises:
        click.UsageError: A ring cannot be read.
        InvalidInput: The soak is no duration.
    """
    return wire.order_pb2.RolloutPlan(
        rings=[_ring(text) for text in rings],
        healthy_percent=healthy,
        automatic=automatic,
        soak_seconds=int(parse_duration(soak).total_seconds()) if automatic else 0,
    )


def _ring(text: str) -> order_pb2.RolloutRing:
    name, equals, rest = text.partition("=")
    share = _SHARE.fullmatch(rest if equals else text)
    if share:
        percent = int(share[1])
        named = name if equals else f"{percent}-percent"
        return wire.order_pb2.RolloutRing(name=named, percent=percent)
    terms = [term.strip() for term in rest.split(",")]
    if not equals or not name or not all(terms):
        raise click.UsageError(
            f"the ring {text!r} is neither NAME=SELECTOR, such as canary=label:canary, nor a"
            " share, such as 10%"
        )
    return wire.order_pb2.RolloutRing(name=name, selectors=terms)


def said(ring: order_pb2.RolloutRing) -> str:
    """Return who is in a ring, for people."""
    return f"up to {ring.percent} %" if ring.percent else " ".join(ring.selectors)
