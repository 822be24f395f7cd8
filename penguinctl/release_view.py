"""How releases look: in lists, one by itself, and ring by ring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguinctl import moments, order_view, output, rollout_options, ui
from penguinctl.output import Column
from penguinctl.ui import Styled
from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penguinctl.app import App
    from penguindome.v1 import order_pb2, release_pb2

STANDING = ("waiting", "rolling", "halted", "complete")
_STYLES = {
    "waiting": "yellow",
    "rolling": "bold",
    "halted": "red",
    "complete": "green",
    "superseded": "dim",
    "withdrawn": "dim",
}
_RELEASES = (
    *map(Column, ("NUMBER", "STATE", "RINGS", "HEALTHY", "FAILED", "PUBLISHED")),
    Column("SIGNED BY", shrinks=True),
    Column("LABEL", shrinks=True),
    Column("REASON", shrinks=True, least=12),
)
_RINGS = (
    Column("RING", shrinks=True),
    *map(Column, ("OPEN", "DEVICES", "HEALTHY", "FAILED", "UNDER WAY", "REFUSED", "PROGRESS")),
    Column("WHO", shrinks=True, least=8),
)
_TROUBLES = (
    Column("HOSTNAME", shrinks=True),
    Column("STATE"),
    Column("REASON", shrinks=True),
    Column("ID"),
)
_BAR = 20


def styled(state: str) -> Styled:
    """Return a release's state in its colour."""
    return Styled(state, _STYLES.get(state, ""))


def table(app: App, found: Sequence[release_pb2.Release]) -> None:
    """Print releases, a line each."""
    if found:
        output.table(_RELEASES, [_row(app, one) for one in found])


def _row(app: App, one: release_pb2.Release) -> tuple[str | Styled, ...]:
    by_state = one.order.targets_by_state
    return (
        str(one.number),
        styled(one.state),
        f"{one.open_rings} of {len(one.plan.rings) + 1}",
        str(by_state.get("succeeded", 0)),
        str(by_state.get("failed", 0)),
        moments.short(one.order.submitted_unix_ms, app.now),
        output.words(one.order.signed_by),
        one.label or "-",
        one.reason or "-",
    )


def show(app: App, response: release_pb2.GetReleaseResponse, manifest_hash: str) -> None:
    """Print one release: what it is, its rings, and the devices in trouble."""
    one = response.release
    output.pairs(_pairs(app, one, manifest_hash))
    ui.out()
    rings(one)
    troubles = [t for t in response.targets if t.state in order_view.UNHAPPY]
    if troubles:
        ui.out()
        output.table(
            _TROUBLES,
            [
                (order_view.named(t), order_view.styled(t.state), t.reason or "-", t.device_id)
                for t in troubles
            ],
        )


def _pairs(
    app: App, one: release_pb2.Release, manifest_hash: str
) -> list[tuple[str, str | Styled]]:
    order = one.order
    pairs: list[tuple[str, str | Styled]] = [
        ("Release", f"{one.number} {one.label}".strip()),
        ("State", styled(one.state)),
        ("Manifest", manifest_hash),
        ("Order", order.order_id),
        ("Signed by", output.words(order.signed_by)),
        ("Published", moments.local(order.submitted_unix_ms, app.now)),
        ("Given until", moments.local(order.expires_unix_ms, app.now)),
        ("Rolled out", _plan(one.plan)),
    ]
    if order.missing_signatures:
        pairs.insert(2, ("Waits for", f"{order.missing_signatures} more signatures"))
    if one.reason:
        pairs.insert(2, ("Because", one.reason))
    if order.reason:
        pairs.append(("Reason", order.reason))
    return pairs


def _plan(plan: order_pb2.RolloutPlan) -> str:
    healthy = f"good while {plan.healthy_percent} % are healthy"
    if not plan.rings:
        return f"to all at once, {healthy}"
    if not plan.automatic:
        return f"{healthy}; an operator opens the next ring"
    return f"{healthy}; the next ring opens after {_span(plan.soak_seconds)}"


def _span(seconds: int) -> str:
    from datetime import timedelta  # noqa: PLC0415 -- --help stays quick

    from penguindome.times import format_duration  # noqa: PLC0415 -- as above

    return format_duration(timedelta(seconds=seconds))


def rings(one: release_pb2.Release) -> None:
    """Print how each ring fares."""
    who = [*map(rollout_options.said, one.plan.rings), "everybody else"]
    rows = [_ring(ring, text) for ring, text in zip(one.rings, who, strict=False)]
    if rows:
        output.table(_RINGS, rows)


def _ring(ring: release_pb2.RingProgress, who: str) -> tuple[str | Styled, ...]:
    failed = str(ring.failed)
    return (
        ring.name,
        "yes" if ring.open else "no",
        str(ring.devices),
        str(ring.healthy),
        Styled(failed, "red") if ring.failed else failed,
        str(ring.under_way),
        str(ring.refused),
        _bar(ring),
        who if ring.name != "all" else "all devices",
    )


def _bar(ring: release_pb2.RingProgress) -> str:
    """Return a bar: # healthy, ! failed, ~ under way, . the others."""
    if not ring.devices:
        return "-"
    bar = ""
    for count, sign in ((ring.healthy, "#"), (ring.failed, "!"), (ring.under_way, "~")):
        bar += sign * max(round(_BAR * count / ring.devices), 1 if count else 0)
    return bar[:_BAR].ljust(_BAR, ".")


def lines(one: release_pb2.Release) -> Iterator[str]:
    """Yield what is told of a release that is followed, a line for each open ring."""
    because = f", {printable(one.reason)}" if one.reason else ""
    yield f"Release {one.number} is {printable(one.state)}{because}."
    for ring in one.rings:
        if ring.open:
            yield (
                f"  {printable(ring.name)}: {ring.healthy} of {ring.devices} healthy,"
                f" {ring.failed} failed, {ring.under_way} under way, {ring.refused} refused"
            )


def to_json(one: release_pb2.Release) -> dict[str, Any]:
    """Return a release for programs."""
    return {
        "number": one.number,
        "label": one.label,
        "state": one.state,
        "reason": one.reason,
        "open_rings": one.open_rings,
        "rings": [
            {
                "name": ring.name,
                "open": ring.open,
                "devices": ring.devices,
                "healthy": ring.healthy,
                "failed": ring.failed,
                "under_way": ring.under_way,
                "refused": ring.refused,
            }
            for ring in one.rings
        ],
        "plan": {
            "rings": [
                {"name": r.name, "percent": r.percent, "selectors": list(r.selectors)}
                for r in one.plan.rings
            ],
            "healthy_percent": one.plan.healthy_percent,
            "automatic": one.plan.automatic,
            "soak_seconds": one.plan.soak_seconds,
        },
        "order": order_view.order_json(one.order),
    }
