"""Whose word a target's state is: the device's own, by its signature, or only the server's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl import output, wire
from penguinctl.devices import ALL_STATES
from penguindome import keys
from penguindome.errors import PenguinDomeError
from penguindome.orders.receipts import ABOUT_A_COPY, SealedReceipt, key_of, open_receipt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.app import App
    from penguindome.orders.receipts import Receipt
    from penguindome.v1 import device_pb2, order_pb2

VOUCHED = "yes"
SERVER = "no"
FORMER = "former key"
FORGED = "NO: forged"
UNKNOWN = "no key"
# An order of many devices comes without receipts.
UNSHOWN = "not shown"


def verdicts(app: App, targets: Sequence[order_pb2.OrderTarget]) -> list[str]:
    """Return for each target whose word its state is, in their order.

    VOUCHED: a receipt says the same, signed with the device's key. FORMER: with another key, which
    the receipt names; devices get new ones, and only the server says that it was the device's.
    SERVER: there is no receipt, or one that a spoiled copy of the order brought about. FORGED: the
    receipt is not the device's, or says something else. UNKNOWN: the device is gone, and its key
    with it.
    """
    wanted = {one.device_id for one in targets if one.receipt.payload}
    held = _keys(app) if wanted else {}
    return [_verdict(app, one, held) for one in targets]


def _keys(app: App) -> dict[str, bytes]:
    request = wire.device_pb2.ListDevicesRequest(states=ALL_STATES, public_keys=True)
    response: device_pb2.ListDevicesResponse = app.call("device.ListDevices", request)
    # The fingerprint is what the operator compared with the device, or still can.
    return {
        one.device_id: one.public_key
        for one in response.devices
        if keys.fingerprint(one.public_key) == one.key_fingerprint
    }


def _verdict(app: App, one: order_pb2.OrderTarget, held: dict[str, bytes]) -> str:
    if not one.receipt.payload or not one.vouched:
        return UNSHOWN if one.vouched else SERVER
    if one.device_id not in held:
        return UNKNOWN
    sealed = SealedReceipt(one.receipt.payload, one.receipt.signature)
    for key, good in ((held[one.device_id], VOUCHED), (_named_key(sealed), FORMER)):
        try:
            said = open_receipt(sealed, spki=key, fleet=app.profile.fleet, device_id=one.device_id)
        except PenguinDomeError:
            continue
        if not _says_the_same(one, said):
            return FORGED
        return SERVER if said.state == "refused" and said.code in ABOUT_A_COPY else good
    return FORGED


def _named_key(sealed: SealedReceipt) -> bytes:
    try:
        return key_of(sealed)
    except PenguinDomeError:
        return b""


def _says_the_same(one: order_pb2.OrderTarget, said: Receipt) -> bool:
    shown = (
        one.order_id,
        one.part,
        one.state,
        one.exit_code if one.HasField("exit_code") else None,
        one.reason,
        one.code,
        # A wipe's plan is in there: nobody should decide by one that the server made up.
        output.loaded(one.details) or {},
    )
    return shown == (
        said.order_id,
        said.part,
        said.state,
        said.exit_code,
        said.reason,
        said.code,
        dict(said.details),
    )
