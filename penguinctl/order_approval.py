"""A further operator's signature on an order.

Trust: the server hands over an order that another operator is said to have signed. Nothing but the
signed bytes is shown, and exactly these are signed, once they were found to be what a device would
act on.
"""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguinctl import order_render, order_show, ordering, signing, ui, wire
from penguinctl.trust_refresh import refreshed
from penguindome.errors import PreconditionFailed
from penguindome.orders.bodies import WipeBody

if TYPE_CHECKING:
    from pathlib import Path

    from penguinctl.app import App
    from penguindome.orders.opening import Opened
    from penguindome.trust import TrustDocument
    from penguindome.v1 import order_pb2


@dataclass(frozen=True, slots=True)
class Asking:
    """How an operator says yes: `yes` beforehand; for a wipe by `confirmation`, or by typing it."""

    yes: bool
    confirmation: str = ""


def approve(
    app: App, order_id: str, asking: Asking, passphrase_file: Path | None
) -> order_pb2.Order:
    """Verify an order, show it, ask, sign it, and hand the signature in.

    Raises:
        NotFound: There is no such order.
        Forbidden: A device would refuse it, or this operator's signature does not count for it.
        PreconditionFailed: It was not confirmed, has this operator's signature, or all it needs.
    """
    found = order_show.fetch(app, order_id)
    trust = refreshed(app).current()
    # Refuses what a device would: of another fleet, expired, voided, too long, unsigned.
    opened = ordering.opened(app, found.envelope, trust)
    key = signing.own_key(app.profile, passphrase_file)
    ordering.check_role(trust, opened.kind, key.fingerprint)
    _check_needed(opened, key.fingerprint, trust, found.order.missing_signatures)
    _ask(app, opened, trust, asking)
    signed = signing.sign(key, opened.kind.name, found.envelope.payload)
    request = wire.order_pb2.ApproveOrderRequest(
        order_id=opened.payload.id,
        payload_sha256=hashlib.sha256(found.envelope.payload).digest(),
        signature=signed.signatures[0],
    )
    response: order_pb2.ApproveOrderResponse = app.call("order.ApproveOrder", request)
    return response.order


def _check_needed(opened: Opened, fingerprint: str, trust: TrustDocument, said: int) -> None:
    order_id = opened.payload.id
    if fingerprint in opened.signers:
        raise PreconditionFailed(
            "you have signed it already",
            subject=order_id,
            code="already-signed",
            remedy=ordering.who_can_sign(opened, trust) if opened.missing else "",
        )
    if not opened.missing or not said:
        raise PreconditionFailed(
            "it has all the signatures that it needs", subject=order_id, code="complete"
        )


def _ask(app: App, opened: Opened, trust: TrustDocument, asking: Asking) -> None:
    is_wipe = isinstance(opened.body, WipeBody) and opened.kind.name == "wipe"
    if not is_wipe and not ordering.asks(yes=asking.yes):
        if not asking.yes:
            raise PreconditionFailed(
                "nobody is there to look at it",
                subject=opened.payload.id,
                code="not-confirmed",
                remedy="Nothing was signed; run it at a terminal, or give --yes",
            )
        return
    order_render.show(opened.kind, opened.payload, opened.body, app.now)
    names = ", ".join(sorted(trust.operators[one] for one in opened.signers))
    order_render.say([("Signed by", names)], ui.note)
    if is_wipe and isinstance(opened.body, WipeBody):
        confirm_wipe(opened.body.confirmation, asking.confirmation)
    else:
        ordering.confirm("Add your signature?")


def confirm_wipe(wanted: str, given: str) -> None:
    """Go on only once the device's id and hostname were typed, or given beforehand.

    Args:
        wanted: Both, with a space between.
        given: What --confirm said; empty if it was not given.

    Raises:
        PreconditionFailed: `not-confirmed`.
    """
    if not given and sys.stdin.isatty():
        device_id = ui.ask("To destroy what is on it for good, type the device's id:")
        hostname = ui.ask("And its hostname:")
        given = f"{device_id} {hostname}"
    if given != wanted:
        raise PreconditionFailed(
            "what was typed is not the device's id and hostname"
            if given
            else "a wipe is confirmed by the device's id and hostname",
            code="not-confirmed",
            remedy='Nothing was done; type them at a terminal, or give --confirm "ID HOSTNAME"',
        )
