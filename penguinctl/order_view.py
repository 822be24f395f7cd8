"""How orders and their targets look, to people and to programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguinctl import moments, output
from penguinctl.order_follow import receipt_of
from penguinctl.output import Column
from penguinctl.ui import Styled
from penguindome.orders.receipts import FINAL
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penguinctl.app import App
    from penguindome.v1 import order_pb2

_STYLES = {
    "succeeded": "green",
    "failed": "red",
    "timed-out": "red",
    "interrupted": "red",
    "refused": "red",
    "cancelled": "yellow",
    "expired": "yellow",
    "waiting": "yellow",
    "queued": "yellow",
}
# How a target can end that did not succeed.
UNHAPPY = frozenset(FINAL) - {"succeeded"}
_ORDERS = (
    Column("ORDER"),
    Column("KIND"),
    Column("NAME", shrinks=True),
    Column("BY", shrinks=True),
    Column("SUBMITTED"),
    Column("TARGETS", shrinks=True),
    Column("REASON", shrinks=True, least=10),
)
_RESULTS = (
    Column("HOSTNAME", shrinks=True),
    Column("STATE"),
    Column("EXIT"),
    Column("SECONDS"),
    Column("REASON", shrinks=True),
)
_TARGETS = (
    Column("HOSTNAME", shrinks=True),
    Column("STATE"),
    Column("EXIT"),
    Column("SECONDS"),
    Column("STDOUT"),
    Column("STDERR"),
    Column("VOUCHED"),
    Column("REASON", shrinks=True),
    Column("ID"),
)


def styled(state: str) -> Styled:
    """Return a target's state in its colour."""
    return Styled(state, _STYLES.get(state, ""))


def counted(by_state: Mapping[str, int]) -> str:
    """Return how many targets are in each state: `3 succeeded, 1 failed`."""
    return ", ".join(f"{by_state[state]} {state}" for state in sorted(by_state)) or "none yet"


def table(app: App, orders: Sequence[order_pb2.Order]) -> None:
    """Print orders, a line each."""
    if orders:
        output.table(_ORDERS, [_row(app, one) for one in orders])


def _row(app: App, one: order_pb2.Order) -> tuple[str | Styled, ...]:
    state = counted(one.targets_by_state)
    if one.missing_signatures and not one.ended:
        state = f"needs {one.missing_signatures} more signatures"
    return (
        one.order_id,
        one.kind,
        one.name or "-",
        one.by,
        moments.short(one.submitted_unix_ms, app.now),
        Styled(state, "yellow") if one.missing_signatures and not one.ended else state,
        one.reason or "-",
    )


def order_json(one: order_pb2.Order) -> dict[str, Any]:
    """Return an order for programs."""
    return {
        "order_id": one.order_id,
        "kind": one.kind,
        "name": one.name,
        "reason": one.reason,
        "by": one.by,
        "signed_by": list(one.signed_by),
        "missing_signatures": one.missing_signatures,
        "issued_time": moments.iso(one.issued_unix_ms),
        "expires_time": moments.iso(one.expires_unix_ms),
        "submitted_time": moments.iso(one.submitted_unix_ms),
        "targets_by_state": dict(sorted(one.targets_by_state.items())),
        "ended": one.ended,
        "number": one.number,
        "withdrawn_reason": one.withdrawn_reason,
        "cancels_order_ids": list(one.cancels_order_ids),
    }


def target_json(one: order_pb2.OrderTarget) -> dict[str, Any]:
    """Return a target for programs; what a receipt adds is the device's word as it came."""
    return {
        "device_id": one.device_id,
        "hostname": one.hostname,
        "part": one.part,
        "state": one.state,
        "reason": one.reason,
        "code": one.code,
        "exit_code": one.exit_code if one.HasField("exit_code") else None,
        "seconds": seconds(one),
        "stdout_bytes": one.stdout_bytes,
        "stderr_bytes": one.stderr_bytes,
        "truncated": one.truncated,
        "details": output.loaded(one.details),
        "sent_time": moments.iso(one.sent_unix_ms),
        "started_time": moments.iso(one.started_unix_ms),
        "ended_time": moments.iso(one.ended_unix_ms),
        "connected": one.connected,
        "cancelling": one.cancelling,
    }


def seconds(one: order_pb2.OrderTarget) -> float | None:
    """Return how long the device worked on it, by its own clock; None where it did not."""
    if not (one.started_unix_ms and one.ended_unix_ms):
        return None
    said = receipt_of(one)
    end = one.ended_unix_ms if said is None else to_unix_ms(said.time)
    return max(end - one.started_unix_ms, 0) / 1000


def spent(one: order_pb2.OrderTarget) -> str:
    """Return how long it took, for a cell."""
    found = seconds(one)
    return "-" if found is None else f"{found:.1f}"


def exit_code(one: order_pb2.OrderTarget) -> str:
    """Return a program's exit code, for a cell."""
    return str(one.exit_code) if one.HasField("exit_code") else "-"


def why(one: order_pb2.OrderTarget) -> str:
    """Return the reason of a state, and what there is to know beside it."""
    beside = ["is being cancelled"] if one.cancelling and not one.ended_unix_ms else []
    beside += ["printed more than was kept"] if one.truncated else []
    return "; ".join([*([one.reason] if one.reason else []), *beside]) or "-"


def named(one: order_pb2.OrderTarget) -> str:
    """Return a target's name."""
    return f"{one.hostname} {one.part}" if one.part else one.hostname


def results(targets: Sequence[order_pb2.OrderTarget]) -> None:
    """Print how targets ended."""
    rows = [(named(t), styled(t.state), exit_code(t), spent(t), why(t)) for t in targets]
    output.table(_RESULTS, rows)


def targets(found: Sequence[order_pb2.OrderTarget], vouched: Sequence[str]) -> None:
    """Print all of an order's targets; `vouched` says by device whose word each is."""
    rows = [
        (
            named(one),
            styled(one.state),
            exit_code(one),
            spent(one),
            f"{one.stdout_bytes:,}",
            f"{one.stderr_bytes:,}",
            Styled(word, "" if word.islower() else "red"),
            why(one),
            one.device_id,
        )
        for one, word in zip(found, vouched, strict=True)
    ]
    output.table(_TARGETS, rows)
