"""Whose word a target's state is: the device's own, by its signature, or only the server's."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguinctl import device_keys, known_keys, output, wire
from penguinctl.devices import ALL_STATES
from penguindome import keys
from penguindome.errors import NotSupported, PenguinDomeError
from penguindome.orders.receipts import ABOUT_A_COPY, SealedReceipt, key_of, open_receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from penguinctl.app import App
    from penguindome.orders.receipts import Receipt
    from penguindome.v1 import device_pb2, order_pb2

VOUCHED = "yes"
EARLIER = "yes: former key"
SERVER = "no"
FORMER = "former key"
FORGED = "NO: forged"
OTHER = "NO: other key"
UNKNOWN = "no key"
# An order of many devices comes without receipts.
UNSHOWN = "not shown"
BY_DEVICE = (VOUCHED, EARLIER)
WRONG = (FORGED, OTHER)
# As many devices' keys as the server hands out at once.
_BATCH = 32


@dataclass(frozen=True, slots=True)
class _Opened:
    """A receipt with the key that signed it: the present one of its device, or another."""

    said: Receipt
    key: bytes
    is_present: bool


def verdicts(app: App, targets: Sequence[order_pb2.OrderTarget]) -> list[str]:
    """Return for each target whose word its state is, in their order.

    VOUCHED: a receipt says the same, signed with the device's key. EARLIER: with one that it had
    before, as its keys prove. FORMER: with another key, which the receipt names and only the server
    says to have been the device's. OTHER: with the key that the server names, which does not follow
    the one that is certain here. SERVER: there is no receipt, or one that a spoiled copy of the
    order brought about. FORGED: the receipt is not the device's, or says something else. UNKNOWN:
    the device is gone, and its key with it.
    """
    wanted = {one.device_id for one in targets if one.receipt.payload}
    held = _keys(app) if wanted else {}
    opened = [_opened(app, one, held) for one in targets]
    asked = {
        target.device_id
        for target, one in zip(targets, opened, strict=True)
        if one is not None and _needs_proof(app, target.device_id, one)
    }
    proven = _proven(app, sorted(asked), held)
    return [
        _verdict(target, one, held, proven) for target, one in zip(targets, opened, strict=True)
    ]


def _keys(app: App) -> dict[str, bytes]:
    request = wire.device_pb2.ListDevicesRequest(states=ALL_STATES, public_keys=True)
    response: device_pb2.ListDevicesResponse = app.call("device.ListDevices", request)
    # The fingerprint is what the operator compared with the device, or still can.
    return {
        one.device_id: one.public_key
        for one in response.devices
        if keys.fingerprint(one.public_key) == one.key_fingerprint
    }


def _opened(app: App, one: order_pb2.OrderTarget, held: Mapping[str, bytes]) -> _Opened | None:
    """Return a target's receipt, by the device's key or the one that it names."""
    if not one.receipt.payload or one.device_id not in held:
        return None
    sealed = SealedReceipt(one.receipt.payload, one.receipt.signature)
    present = held[one.device_id]
    for key in (present, _named_key(sealed)):
        with contextlib.suppress(PenguinDomeError):
            said = open_receipt(sealed, spki=key, fleet=app.profile.fleet, device_id=one.device_id)
            return _Opened(said, key, key == present)
    return None


def _needs_proof(app: App, device_id: str, one: _Opened) -> bool:
    known = known_keys.recall(app, device_id)
    is_another = known is not None and known.fingerprint != keys.fingerprint(one.key)
    return not one.is_present or (known is not None and known.is_certain and is_another)


def _proven(
    app: App, device_ids: Sequence[str], held: Mapping[str, bytes]
) -> dict[str, set[bytes]]:
    """Return the keys of some devices that are proven; none where the server tells none."""
    found: dict[str, set[bytes]] = {one: set() for one in device_ids}
    for index in range(0, len(device_ids), _BATCH):
        request = wire.device_pb2.GetDeviceKeysRequest(
            device_ids=device_ids[index : index + _BATCH]
        )
        with contextlib.suppress(NotSupported):
            response: device_pb2.GetDeviceKeysResponse = app.call("device.GetDeviceKeys", request)
            for one in response.devices:
                if one.public_key != held.get(one.device_id):
                    continue
                trusted = known_keys.trusted(app, device_keys.of_device(app, one))
                found[one.device_id] = {key.spki for key in trusted}
    return found


def _verdict(
    target: order_pb2.OrderTarget,
    one: _Opened | None,
    held: Mapping[str, bytes],
    proven: Mapping[str, set[bytes]],
) -> str:
    if not target.receipt.payload or not target.vouched:
        return UNSHOWN if target.vouched else SERVER
    if target.device_id not in held:
        return UNKNOWN
    if one is None or not _says_the_same(target, one.said):
        return FORGED
    if one.said.state == "refused" and one.said.code in ABOUT_A_COPY:
        return SERVER
    if one.key in proven.get(target.device_id, {held[target.device_id]}):
        return VOUCHED if one.is_present else EARLIER
    return OTHER if one.is_present else FORMER


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
