"""Calling orders off by a signed cancellation, and telling the truth about each device."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguinctl import devices, formats, order_show, ordering, output, ui, wire
from penguinctl.order_choices import UNFINISHED
from penguinctl.order_view import styled
from penguinctl.output import Column
from penguinctl.progress import Progress
from penguindome.errors import NotFound, PreconditionFailed
from penguindome.orders.bodies import CancelBody
from penguindome.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penguinctl.app import App
    from penguindome.v1 import order_pb2

# How long devices that are there are given to say what became of it.
_PATIENCE_SECONDS = 8.0
_PAUSE_SECONDS = 0.2
# Longer than any order waits for its device.
_TTL = "30d"
_COLUMNS = (Column("HOSTNAME", shrinks=True), Column("STATE"), Column("RESULT", shrinks=True))


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is signed and answered."""

    reason: str
    yes: bool
    passphrase_file: Path | None
    output_format: str


def cancel(
    app: App, order_id: str, selectors: Sequence[str], kind: str, manner: Manner
) -> list[order_pb2.OrderTarget]:
    """Call an order off, and return its targets as they are soon after.

    Args:
        app: The running command.
        order_id: The order's id, or the beginning of it.
        selectors: Only on these devices; empty means on all of its.
        kind: The order's: command, patch or wipe.
        manner: How it is signed and answered.

    Raises:
        NotFound: There is no such order, or it is for none of these devices.
        PreconditionFailed: It ended already.
    """
    found = order_show.fetch(app, order_id, kind)
    full = found.payload.id
    meant = _meant(app, list(found.response.targets), selectors, full)
    left = {one.device_id: one.hostname for one in meant if one.state in UNFINISHED}
    if not left:
        raise PreconditionFailed(
            "it ended already",
            subject=full,
            code="already-ended",
            remedy=f"See `penguinctl order show {full}`",
        )
    # A device that has a new name since refuses what names the old one.
    now = {one.device_id: one.hostname for one in devices.find(app, [], ("active", "blocked"))}
    body = CancelBody({one: now.get(one, name) for one, name in left.items()}, (full,))
    draft = ordering.Draft(
        f"cancel-{kind}", body.to_json(), tuple(left), parse_duration(_TTL), manner.reason
    )
    signed = ordering.signed(app, draft, passphrase_file=manner.passphrase_file, yes=manner.yes)
    ordering.submit(app, signed.envelope)
    return _wait(app, full, {one.device_id for one in meant})


def _meant(
    app: App, targets: list[order_pb2.OrderTarget], selectors: Sequence[str], order_id: str
) -> list[order_pb2.OrderTarget]:
    if not selectors:
        return targets
    picked = {one.device_id for one in devices.find(app, selectors, devices.ALL_STATES)}
    meant = [one for one in targets if one.device_id in picked]
    if not meant:
        raise NotFound(
            "the order is for no such device",
            subject=" ".join(selectors),
            remedy=f"See `penguinctl order show {order_id}`",
        )
    return meant


def _wait(app: App, order_id: str, device_ids: set[str]) -> list[order_pb2.OrderTarget]:
    request = wire.order_pb2.GetOrderRequest(order_id=order_id)
    end = time.monotonic() + _PATIENCE_SECONDS
    with Progress("Waiting for devices"):
        while True:
            response: order_pb2.GetOrderResponse = app.call("order.GetOrder", request)
            found = [one for one in response.targets if one.device_id in device_ids]
            asked = [one for one in found if one.connected and one.state in UNFINISHED]
            if not asked or time.monotonic() > end:
                return found
            time.sleep(_PAUSE_SECONDS)


def answer(order_id: str, targets: Sequence[order_pb2.OrderTarget], output_format: str) -> None:
    """Say what became of an order that was called off."""
    rows = [_json(one) for one in targets]
    value = {"order_id": order_id, "targets": rows}
    if output_format != "table":
        formats.emit(output_format, value, rows, list(_json(wire.order_pb2.OrderTarget())))
        return
    output.table(_COLUMNS, [(t.hostname, styled(t.state), _result(t)) for t in targets])
    if any(one.state in UNFINISHED for one in targets):
        ui.note(f"See how it ends: penguinctl order show {order_id}")


def _json(one: order_pb2.OrderTarget) -> dict[str, Any]:
    return {
        "device_id": one.device_id,
        "hostname": one.hostname,
        "state": one.state,
        "result": _result(one),
        "connected": one.connected,
    }


def _result(one: order_pb2.OrderTarget) -> str:
    if one.state == "cancelled":
        return one.reason or "called off"
    if one.state not in UNFINISHED:
        return "had ended already, or did before it was called off"
    if one.connected:
        return "asked to stop; it has not said yet that it did"
    return "offline; it is told when it connects"
