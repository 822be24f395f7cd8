"""Wiping a device: the dry run, the real thing, and how far it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from penguinctl import (
    cancelling,
    devices,
    exits,
    order_approval,
    order_results,
    order_show,
    order_view,
    ordering,
    output,
    receipt_check,
    ui,
    wipe_view,
    wire,
)
from penguinctl.order_choices import UNFINISHED
from penguinctl.order_follow import Following
from penguindome.display import printable
from penguindome.errors import NotFound, PreconditionFailed
from penguindome.orders.bodies import WipeBody
from penguindome.times import parse_duration

if TYPE_CHECKING:
    from pathlib import Path

    from penguinctl.app import App
    from penguindome.v1 import device_pb2, order_pb2

_KINDS = ("wipe", "wipe-plan")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line's options say."""

    level: str
    for_real: bool
    confirmation: str
    no_reboot: bool
    ttl: str
    reason: str
    wait: bool
    yes: bool
    passphrase_file: Path | None


def wipe(app: App, device: str, wishes: Wishes, output_format: str) -> None:
    """Order a wipe or its dry run of one device, and follow it.

    Raises:
        Exit: How it ended.
        PenguinDomeError: It could not be ordered.
    """
    ttl = parse_duration(wishes.ttl)
    found = devices.find_one(app, device, "active")
    _check_allowed(found)
    names = {found.device_id: found.hostname}
    confirmation = f"{found.device_id} {found.hostname}" if wishes.for_real else ""
    body = WipeBody(names, wishes.level, confirmation, reboot=not wishes.no_reboot)
    kind = "wipe" if wishes.for_real else "wipe-plan"
    draft = ordering.Draft(kind, body.to_json(), tuple(names), ttl, wishes.reason)
    signed = ordering.signed(
        app,
        draft,
        passphrase_file=wishes.passphrase_file,
        yes=wishes.yes,
        ask=(lambda: order_approval.confirm_wipe(confirmation, wishes.confirmation))
        if wishes.for_real
        else None,
    )
    order = ordering.submit(app, signed.envelope)
    ordering.tell_missing(order, signed)
    if order.missing_signatures and not wishes.wait:
        said = f"Nothing happens on {printable(found.hostname)} before that."
        output.answer(output_format, order_view.order_json(order), lambda: ui.out(said))
        raise click.exceptions.Exit(exits.WAITING)
    target = _follow(app, order, wait=wishes.wait)
    raise click.exceptions.Exit(_answer(app, kind, target or _queued(order, found), output_format))


def _check_allowed(found: device_pb2.Device) -> None:
    if "wipe" in found.denied:
        raise PreconditionFailed(
            f"{printable(found.hostname)}: its own settings forbid wipe",
            subject=found.device_id,
            code="denied-by-device",
            remedy="Nothing was sent; a device's own settings stand in its agent.toml, and only its"
            " root changes them",
        )


def _queued(order: order_pb2.Order, found: device_pb2.Device) -> order_pb2.OrderTarget:
    return wire.order_pb2.OrderTarget(
        order_id=order.order_id,
        device_id=found.device_id,
        hostname=found.hostname,
        state="queued",
        connected=found.connected,
    )


def _follow(app: App, order: order_pb2.Order, *, wait: bool) -> order_pb2.OrderTarget | None:
    """Say what it is at until it ended, or its device is away; return its target as it is."""
    told = ""
    try:
        with Following(app, order, output=False) as following:
            seen = following.seen
            for event in following:
                if event is not None and event.WhichOneof("event") == "target":
                    told = _tell_phase(event.target, told)
                if seen.started and not (seen.left() if wait else seen.awaited()):
                    break
    except KeyboardInterrupt:
        order_results.interrupted(order)
    return next(iter(seen.targets.values()), None)


def _tell_phase(target: order_pb2.OrderTarget, told: str) -> str:
    """Say what a wipe is at, if that is new."""
    now = target.state
    if target.state == "running":
        now = wipe_view.phase(output.loaded(target.details)) or "has begun"
    if target.state in UNFINISHED and target.state not in ("waiting", "queued") and now != told:
        ui.note(f"{printable(target.hostname)}: {printable(now)}")
        return now
    return told


def _answer(app: App, kind: str, target: order_pb2.OrderTarget, output_format: str) -> int:
    """Say how it is, by whose word, and return how the command ends."""
    (verdict,) = receipt_check.verdicts(app, [target])
    value = order_view.target_json(target) | {
        "order_id": target.order_id,
        "kind": kind,
        "vouched_by_device": verdict in receipt_check.BY_DEVICE,
    }
    output.answer(output_format, value, lambda: _human(kind, target, verdict))
    unproven = (
        kind == "wipe" and target.state == "succeeded" and verdict not in receipt_check.BY_DEVICE
    )
    if unproven or verdict in receipt_check.WRONG:
        return exits.NOT_VERIFIED
    return order_results.exit_code([target])


def _human(kind: str, target: order_pb2.OrderTarget, verdict: str) -> None:
    details = output.loaded(target.details)
    vouched = verdict in receipt_check.BY_DEVICE
    if kind == "wipe":
        wipe_view.show_done(details)
    elif wipe_view.plan_of(details):
        wipe_view.show_plan(details)
        ui.out()
    whose = "by the device's own signed receipt" if vouched else f"NOT vouched for ({verdict})"
    words = _words(kind, target, details, vouched=vouched)
    ui.out(f"{printable(target.hostname)}: ", ui.Styled(words, "bold"))
    if target.state not in UNFINISHED:
        ui.out(ui.Styled(f"This is known {whose}.", "" if vouched else "red"))
    else:
        ui.out(f"See how it ends: penguinctl wipe status {target.device_id}")


def _words(kind: str, target: order_pb2.OrderTarget, details: Any, *, vouched: bool) -> str:
    """Say in one sentence how a wipe, or its dry run, is."""
    if target.state == "succeeded":
        if kind != "wipe":
            return "this is what would be done; nothing was done."
        return "WIPED." if vouched else "nothing proves that it was wiped, as the server says."
    if target.state == "waiting":
        return "waits for a further signature; nothing was done."
    if target.state in UNFINISHED and not target.connected:
        begun = "" if target.state == "queued" else f" (it was {target.state})"
        return f"offline{begun}; it goes on when the device connects."
    if target.state in UNFINISHED:
        return f"under way: {wipe_view.phase(details) or target.state}."
    return f"{target.state}: {order_view.why(target)}"


def status(app: App, device: str, output_format: str) -> None:
    """Show the newest wipe of a device, or else its newest dry run.

    Raises:
        NotFound: It has none.
        Exit: How it is.
    """
    found = _orders(app, device, ())
    if not found:
        raise NotFound("no wipe was ordered", subject=device, remedy="See `penguinctl wipe -h`")
    real = [one for one in found if one.kind == "wipe"]
    shown = order_show.fetch(app, (real or found)[0].order_id, *_KINDS)
    (target,) = shown.response.targets
    if output_format == "table":
        what = "A wipe" if real else "A dry run"
        signed = ", ".join(shown.order.signed_by)
        ui.out(printable(f"{what}, order {shown.payload.id}, signed by {signed}"))
    raise click.exceptions.Exit(_answer(app, shown.payload.kind, target, output_format))


def _orders(app: App, device: str, states: tuple[str, ...]) -> list[order_pb2.Order]:
    request = wire.order_pb2.ListOrdersRequest(kinds=_KINDS, device=device, states=states)
    return list(app.call("order.ListOrders", request).orders)


def cancel(app: App, device: str, manner: cancelling.Manner) -> None:
    """Call off all wipes of a device that have not ended.

    Raises:
        PreconditionFailed: There is none.
    """
    found = [one for one in _orders(app, device, UNFINISHED) if one.kind == "wipe"]
    if not found:
        raise PreconditionFailed(
            "no wipe of it is on its way",
            subject=device,
            code="already-ended",
            remedy=f"See `penguinctl wipe status {device}`",
        )
    for one in found:
        targets = cancelling.cancel(app, one.order_id, (), "wipe", manner)
        cancelling.answer(one.order_id, targets, manner.output_format)
