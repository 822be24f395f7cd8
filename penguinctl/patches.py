"""Patches: which wait, for whom, and calling them off."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguinctl import moments, ordering, output, wire
from penguinctl.devices import find_some
from penguinctl.output import Column
from penguinctl.progress import over
from penguindome.errors import InvalidInput, NotFound
from penguindome.ids import is_ulid
from penguindome.orders.bodies import CancelBody, PatchBody, patch_body
from penguindome.orders.kinds import kind_of
from penguindome.payload import read_payload

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from penguinctl.app import App
    from penguindome.v1 import order_pb2

UNFINISHED = ("waiting", "queued", "sent", "accepted", "running")
_LIMIT = 1_000
_COLUMNS = (
    Column("PATCH"),
    Column("DOES", shrinks=True),
    Column("PENDING ON", shrinks=True),
    Column("BY"),
    Column("SUBMITTED"),
    Column("REASON", shrinks=True, least=10),
)


@dataclass(frozen=True, slots=True)
class Patch:
    """A patch as the server has it.

    Attributes:
        order: The order that carries it.
        body: What it does; None where that cannot be read.
        pending: Targets that have not ended.
        targets: All of them.
    """

    order: order_pb2.Order
    body: PatchBody | None
    pending: Sequence[order_pb2.OrderTarget]
    targets: Sequence[order_pb2.OrderTarget]

    @property
    def paths(self) -> list[str]:
        """Return what it puts or removes."""
        return [one.path for one in self.body.files] if self.body else []


def find(app: App, *, device_ids: Collection[str] | None, everything: bool) -> list[Patch]:
    """Return patches, the newest first.

    Args:
        app: The running command.
        device_ids: Only those for one of these devices; None means all.
        everything: Whether those that ended count, too.
    """
    request = wire.order_pb2.ListOrdersRequest(
        kinds=["patch"], states=() if everything else UNFINISHED, limit=_LIMIT
    )
    orders = list(app.call("order.ListOrders", request).orders)
    found = over("Reading patches", orders, lambda one: _read(app, one.order_id))
    return [
        one
        for one in found
        if device_ids is None
        or any(
            target.device_id in device_ids
            for target in (one.targets if everything else one.pending)
        )
    ]


def _read(app: App, order_id: str) -> Patch:
    request = wire.order_pb2.GetOrderRequest(order_id=order_id)
    response: order_pb2.GetOrderResponse = app.call("order.GetOrder", request)
    try:
        body = patch_body(read_payload(response.envelope.payload).body)
    except InvalidInput:
        body = None
    pending = [one for one in response.targets if one.state in UNFINISHED]
    return Patch(response.order, body, pending, list(response.targets))


def meant(app: App, term: str, selectors: Sequence[str]) -> tuple[list[Patch], dict[str, str]]:
    """Return unfinished patches that an id or a path means, and the hostnames of their devices.

    Args:
        app: The running command.
        term: A patch's id, or a path that patches put or remove.
        selectors: Only for these devices; none means all that it is pending on.

    Raises:
        NotFound: There is none.
    """
    picked = None
    if selectors:
        picked = {one.device_id: one.hostname for one in find_some(app, selectors)}
    found = [
        one
        for one in find(app, device_ids=picked, everything=False)
        if (one.order.order_id == term if is_ulid(term) else term.lower() in _lower(one))
    ]
    if not found:
        raise NotFound(
            "no such patch is pending" + (" on these devices" if selectors else ""),
            code="no-patch",
            subject=term,
            remedy="See `penguinctl patch list`",
        )
    pending = {one.device_id: one.hostname for patch in found for one in patch.pending}
    if picked is not None:
        pending = {one: name for one, name in pending.items() if one in picked}
    return found, pending


def _lower(patch: Patch) -> list[str]:
    return [path.lower() for path in patch.paths]


def cancellation(
    app: App, found: Sequence[Patch], pending: dict[str, str], *, reason: str
) -> ordering.Draft:
    """Return the order that calls patches off on devices.

    The devices are asked for by their hostnames of today, which is what they compare.

    Raises:
        NotFound: None of the devices is active.
    """
    request = wire.device_pb2.ListDevicesRequest(
        selectors=[f"id:{one}" for one in sorted(pending)], states=["active"]
    )
    today = {one.device_id: one.hostname for one in app.call("device.ListDevices", request).devices}
    if not today:
        raise NotFound(
            "the devices that it is pending on are not active any more",
            code="no-device",
            remedy="Nothing has to be called off: what waits for them ends by itself",
        )
    body = CancelBody(today, tuple(one.order.order_id for one in found))
    return ordering.Draft(
        kind="cancel-patch",
        body=body.to_json(),
        devices=sorted(today),
        ttl=kind_of("cancel-patch").longest,
        reason=reason,
    )


def does(patch: Patch) -> str:
    """Return what a patch does, for people."""
    if patch.body is None:
        return "unreadable"
    return "; ".join(
        f"remove {one.path}"
        if one.entry is None
        else f"put {one.path} [mode {one.entry.mode:04o}, {one.entry.size:,} bytes]"
        for one in patch.body.files
    )


def table(app: App, found: Sequence[Patch]) -> None:
    """Print patches, a line each."""
    rows = [
        (
            one.order.order_id,
            does(one),
            output.words(sorted({target.hostname for target in one.pending})),
            one.order.by,
            moments.short(one.order.submitted_unix_ms, app.now),
            one.order.reason or "-",
        )
        for one in found
    ]
    if rows:
        output.table(_COLUMNS, rows)


def to_json(patch: Patch) -> dict[str, Any]:
    """Return a patch for programs."""
    files = patch.body.files if patch.body else ()
    return {
        "order_id": patch.order.order_id,
        "files": [
            {
                "path": one.path,
                "action": "remove" if one.entry is None else "put",
                "mode": None if one.entry is None else f"{one.entry.mode:04o}",
                "size": None if one.entry is None else one.entry.size,
                "sha256": None if one.entry is None else one.entry.sha256,
            }
            for one in files
        ],
        "pending": [
            {"device_id": one.device_id, "hostname": one.hostname, "state": one.state}
            for one in patch.pending
        ],
        "targets_by_state": dict(sorted(patch.order.targets_by_state.items())),
        "by": patch.order.by,
        "reason": patch.order.reason,
        "missing_signatures": patch.order.missing_signatures,
        "submitted_time": moments.iso(patch.order.submitted_unix_ms),
        "expires_time": moments.iso(patch.order.expires_unix_ms),
    }
