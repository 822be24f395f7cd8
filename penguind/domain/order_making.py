"""Make the server's records of an order that was just opened."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.domain.order import OUTPUT_LIMIT_BYTES, Order, Target
from penguindome.orders.bodies import CancelBody, CommandBody, PatchBody, WipeBody
from penguindome.orders.release_body import ReleaseBody
from penguindome.orders.shell_body import ShellBody

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from penguindome.envelope import Envelope
    from penguindome.orders.opening import Opened

_NAME_CHARACTERS = 200
_COMMANDS = "commands/"


def new_order(opened: Opened, envelope: Envelope, signed_by: Iterable[str], now: datetime) -> Order:
    """Return an order that was just handed in."""
    payload, body = opened.payload, opened.body
    release = body if isinstance(body, ReleaseBody) else None
    paths = () if release is None else tuple(one.path for one in release.files)
    return Order(
        order_id=payload.id,
        kind=opened.kind.name,
        name=_name(opened)[:_NAME_CHARACTERS],
        reason=payload.reason,
        by=payload.by,
        envelope=envelope,
        signed_by=tuple(sorted(signed_by)),
        missing=opened.missing,
        issued_time=payload.issued_time,
        expires_time=payload.expires_time,
        submitted_time=now,
        urgent=opened.kind.urgent,
        number=payload.seq or 0,
        parts=tuple(sorted(path for path in paths if path.startswith(_COMMANDS))),
        cancels=body.order_ids if isinstance(body, CancelBody) else (),
    )


def new_targets(order: Order, opened: Opened) -> list[Target]:
    """Return the targets of a new order; a release has none before it is sent."""
    body = opened.body
    if isinstance(body, ReleaseBody):
        return []
    # A cancellation is queued once it is known what is left to be cancelled.
    waits = order.missing > 0 or isinstance(body, CancelBody)
    paths = tuple(one.path.lower() for one in body.files) if isinstance(body, PatchBody) else ()
    limit = body.output_limit_bytes if isinstance(body, CommandBody) else OUTPUT_LIMIT_BYTES
    return [
        Target(
            order_id=order.order_id,
            device_id=device_id,
            hostname=body.hostnames[device_id],
            kind=order.kind,
            state="waiting" if waits else "queued",
            expires_time=order.expires_time,
            urgent=order.urgent,
            paths=paths,
            output_limit_bytes=limit,
        )
        for device_id in opened.payload.devices
    ]


def release_target(order: Order, device_id: str, hostname: str, now: datetime) -> Target:
    """Return the target of a release that a device is about to get."""
    return Target(
        order_id=order.order_id,
        device_id=device_id,
        hostname=hostname,
        kind=order.kind,
        state="sent",
        expires_time=order.expires_time,
        sent_time=now,
    )


def part_of(target: Target, part: str) -> Target:
    """Return a fresh target for one part of a release's work."""
    return Target(
        order_id=target.order_id,
        device_id=target.device_id,
        hostname=target.hostname,
        kind=target.kind,
        state="sent",
        expires_time=target.expires_time,
        part=part,
        sent_time=target.sent_time,
    )


def _name(opened: Opened) -> str:
    body = opened.body
    match body:
        case CommandBody():
            return body.name
        case ReleaseBody():
            return body.label
        case WipeBody():
            return body.level
        case ShellBody():
            return f"{body.purpose} as {body.user}"
        case PatchBody():
            return ", ".join(one.path for one in body.files)
        case CancelBody():
            return ", ".join(body.order_ids)
