"""One order: what was signed and by whom, and what became of it on each device."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from penguinctl import exits, formats, order_render, order_view, output, receipt_check, ui, wire
from penguinctl.envelopes import from_message
from penguinctl.exits import NotVerified
from penguinctl.trust_refresh import refreshed
from penguindome.envelope import check_signed
from penguindome.errors import NotFound, PenguinDomeError
from penguindome.orders.kinds import kind_of
from penguindome.orders.opening import read_body
from penguindome.payload import read_payload

if TYPE_CHECKING:
    from penguinctl.app import App
    from penguindome.envelope import Envelope
    from penguindome.orders.opening import Body
    from penguindome.payload import Payload
    from penguindome.trust import TrustDocument
    from penguindome.v1 import order_pb2


@dataclass(frozen=True, slots=True)
class Found:
    """An order as the server has it; payload and body are what was signed, or was meant to be."""

    response: order_pb2.GetOrderResponse
    envelope: Envelope
    payload: Payload
    body: Body

    @property
    def order(self) -> order_pb2.Order:
        """The server's summary of it."""
        return self.response.order


def fetch(app: App, order_id: str, *kinds: str) -> Found:
    """Return the order that an id, or its beginning, names.

    Args:
        app: The running command.
        order_id: As it was typed.
        kinds: Kinds that it may be of; empty means any.

    Raises:
        NotFound: There is none, or it is of another kind.
        NotVerified: The server answered with another order.
    """
    request = wire.order_pb2.GetOrderRequest(order_id=order_id)
    response: order_pb2.GetOrderResponse = app.call("order.GetOrder", request)
    envelope = from_message(response.envelope)
    try:
        payload = read_payload(envelope.payload)
        body = read_body(payload)
    except PenguinDomeError as error:
        raise _wrong(order_id, error.reason) from error
    if not payload.id.startswith(order_id.upper()) or payload.kind != envelope.kind:
        raise _wrong(order_id, "it answered with another one")
    if kinds and payload.kind not in kinds:
        raise NotFound(
            f"this order is of the kind {payload.kind}",
            subject=payload.id,
            remedy=f"See `penguinctl order show {payload.id}`",
        )
    return Found(response, envelope, payload, body)


def _wrong(order_id: str, reason: str) -> NotVerified:
    return NotVerified(
        f"the server has no such order as it says: {reason}",
        subject=order_id,
        code="order-not-verified",
    )


def signers(found: Found, trust: TrustDocument) -> list[str]:
    """Return the names of operators whose signatures on it are good, by the newest document."""
    try:
        role = kind_of(found.payload.kind).role
        signed = check_signed(found.envelope, trust, role, 1)
    except PenguinDomeError:
        return []
    return sorted(trust.operators[one] for one in signed)


def show(app: App, order_id: str, output_format: str, *kinds: str) -> None:
    """Print one order.

    Raises:
        Exit: With NOT_VERIFIED where a device's receipt is not its own.
    """
    found = fetch(app, order_id, *kinds)
    names = signers(found, refreshed(app).current())
    targets = list(found.response.targets)
    verdicts = receipt_check.verdicts(app, targets)
    rows = [_target_json(*pair) for pair in zip(targets, verdicts, strict=True)]
    said = order_view.order_json(found.order) | {"verified_signers": names}
    value = {"order": said, "targets": rows}
    if output_format == "csv":
        blank = _target_json(wire.order_pb2.OrderTarget(), "")
        formats.emit("csv", value, rows, list(blank))
    else:
        output.answer(output_format, value, lambda: _human(app, found, names, verdicts))
    if receipt_check.FORGED in verdicts:
        ui.note("WARNING: a receipt is not signed by its device, or the server says other than it.")
    if receipt_check.OTHER in verdicts:
        ui.note("WARNING: a device's key is another than you know, and nothing proves it.")
    if any(one in receipt_check.WRONG for one in verdicts):
        raise click.exceptions.Exit(exits.NOT_VERIFIED)


def _target_json(one: order_pb2.OrderTarget, verdict: str) -> dict[str, Any]:
    return order_view.target_json(one) | {
        "vouched_by_device": verdict in receipt_check.BY_DEVICE,
        "vouched": verdict,
    }


def _human(app: App, found: Found, names: list[str], verdicts: list[str]) -> None:
    kind = kind_of(found.payload.kind)
    order = found.order
    signed = ", ".join(names) or "nobody whose signature counts by the newest trust document"
    missing = order.missing_signatures
    more = f"; {missing} more needed" if missing and not order.ended else ""
    rows = [
        *order_render.rows(kind, found.payload, found.body, app.now),
        ("Signed by", f"{signed}{more}"),
        ("State", order_view.counted(order.targets_by_state)),
    ]
    if order.withdrawn_reason:
        rows.append(("Withdrawn", order.withdrawn_reason))
    order_render.say(rows, ui.out)
    if found.response.targets:
        ui.out()
        order_view.targets(list(found.response.targets), verdicts)
