"""Open a session: sign the order, hand it in, wait for signatures, know the device's key."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penguinctl import device_keys, known_keys, ordering, wire
from penguinctl.envelopes import from_message
from penguinctl.trust_refresh import refreshed
from penguindome.errors import (
    InvalidInput,
    NotSupported,
    PenguinDomeError,
    PreconditionFailed,
)
from penguindome.orders.shell_body import ShellBody
from penguindome.shell.answer import Answer, payload_hash
from penguindome.shell.sealing import Ephemeral

if TYPE_CHECKING:
    from pathlib import Path

    from penguinctl.app import App
    from penguindome.trust import TrustDocument
    from penguindome.v1 import device_pb2, order_pb2, shell_pb2

TTL = timedelta(minutes=15)
LOOK_SECONDS = 1.0
END_SECONDS = 5.0
_NAMED = 5
_TWO = 2


@dataclass(frozen=True, slots=True)
class Opened:
    """A session that may be attached to.

    Attributes:
        order_id: The shell order's.
        order: Its payload.
        ephemeral: Our key of the session.
        expected: Which device has to answer.
        device_key: Its public key.
    """

    order_id: str
    order: bytes
    ephemeral: Ephemeral
    expected: Answer
    device_key: bytes


def open_session(
    app: App,
    selector: str,
    /,
    *,
    reason: str,
    passphrase_file: Path | None,
    wait: bool,
    accept_key: str = "",
    **wishes: Any,
) -> Opened:
    """Sign and submit the order for a session on one device.

    Args:
        app: The running command.
        selector: The device.
        reason: Why, for the device's user and the ledger.
        passphrase_file: For automation.
        wait: Whether to wait for a device that is not connected.
        accept_key: The fingerprint of a key that nothing proves, which the operator compared.
        wishes: Fields of ShellBody.

    Raises:
        PreconditionFailed: The device is not connected, or forbids sessions; or nobody signed.
        Forbidden: The device's key does not follow the one that is known.
    """
    picked = _picked(app, selector, wait=wait)
    (device,) = picked.devices
    trust = refreshed(app).current()
    _look_before(app, device, trust, accept_key)
    ephemeral = Ephemeral()
    body = ShellBody(hostnames=picked.hostnames, operator_key=ephemeral.public, **wishes)
    draft = ordering.Draft("shell", body.to_json(), picked.device_ids, TTL, reason)
    # What opens a terminal is not asked about twice: gpg may ask for the key's passphrase.
    signed = ordering.signed(app, draft, passphrase_file=passphrase_file, yes=True, trust=trust)
    _check_moderated(body, trust)
    order_id = _agreed(app, signed)
    device_key = _device_key(app, order_id, device, trust, accept_key)
    expected = _expected(signed, device.device_id, order_id)
    return Opened(order_id, signed.envelope.payload, ephemeral, expected, device_key)


def _look_before(
    app: App, device: device_pb2.Device, trust: TrustDocument, accept_key: str
) -> None:
    """Refuse a device's key before anything is signed, as far as the server tells it by then."""
    request = wire.device_pb2.GetDeviceKeysRequest(device_ids=[device.device_id])
    # An earlier server tells it once there is a session.
    with contextlib.suppress(NotSupported):
        response: device_pb2.GetDeviceKeysResponse = app.call("device.GetDeviceKeys", request)
        for one in response.devices:
            offered = device_keys.of_device(app, one)
            if offered.device_id == device.device_id:
                _meet(app, device, offered, trust, accept_key)


def _device_key(
    app: App, order_id: str, device: device_pb2.Device, trust: TrustDocument, accept_key: str
) -> bytes:
    """Return the device's public key, by now; or call the session off."""
    try:
        offered = device_keys.of_session(app, session_of(app, order_id), device.device_id)
        _meet(app, device, offered, trust, accept_key)
    except PenguinDomeError:
        call_off(app, order_id)
        raise
    return offered.present


def _meet(
    app: App,
    device: device_pb2.Device,
    offered: device_keys.OfferedKeys,
    trust: TrustDocument,
    accept_key: str,
) -> None:
    vouching = device_keys.vouched_by(offered, trust)
    known_keys.meet(app, device.hostname, offered, vouching, accepted=accept_key)


def _check_moderated(body: ShellBody, trust: TrustDocument) -> None:
    if body.moderated and trust.roles["shell"].threshold < _TWO:
        raise PreconditionFailed(
            "nobody could moderate it: the role shell takes one signature",
            code="no-moderator",
            remedy="penguinctl trust propose --threshold shell=2",
        )


def _agreed(app: App, signed: ordering.Signed) -> str:
    """Hand an order in; returns its id once enough operators have signed it."""
    order = ordering.submit(app, signed.envelope)
    if order.missing_signatures:
        ordering.tell_missing(order, signed)
        try:
            _wait_for_signatures(app, order.order_id)
        except KeyboardInterrupt:
            # Whoever waits no more wants no session either.
            call_off(app, order.order_id)
            raise
    return order.order_id


def _expected(signed: ordering.Signed, device_id: str, order_id: str) -> Answer:
    """Return whose answer it has to be."""
    return Answer(
        fleet=signed.trust.fleet,
        device_id=device_id,
        order_id=order_id,
        order_hash=payload_hash(signed.envelope.payload),
        session_key=b"",
    )


def _picked(app: App, selector: str, *, wait: bool) -> ordering.Picked:
    """Return the one device that is meant."""
    picked = ordering.pick(app, [selector], "shell")
    if len(picked.devices) != 1:
        raise InvalidInput(
            f"a session is on one device, and {len(picked.devices)} match",
            subject=selector,
            remedy=f"Give an id: {', '.join(picked.device_ids[:_NAMED])}",
        )
    if not picked.devices[0].connected and not wait:
        raise PreconditionFailed(
            "the device is not connected",
            subject=picked.devices[0].hostname,
            code="not-connected",
            remedy="Give --wait to wait for it",
        )
    return picked


def call_off(app: App, order_id: str) -> None:
    """Have no session begin any more; one that has begun nonetheless is ended."""
    withdraw = wire.order_pb2.WithdrawOrderRequest(order_id=order_id, reason="not wanted any more")
    with contextlib.suppress(PenguinDomeError):
        app.call("order.WithdrawOrder", withdraw)
    end_session(app, order_id, "")


def end_session(app: App, order_id: str, reason: str) -> None:
    """Have a session ended on the device, so that it need not wait for an end that has gone."""
    request = wire.shell_pb2.EndSessionRequest(order_id=order_id, reason=reason)
    with contextlib.suppress(PenguinDomeError):
        app.call("shell.EndSession", request, timeout_seconds=END_SECONDS)


def session_of(app: App, order_id: str) -> shell_pb2.GetSessionResponse:
    """Return what the server knows of a session."""
    request = wire.shell_pb2.GetSessionRequest(order_id=order_id)
    response: shell_pb2.GetSessionResponse = app.call("shell.GetSession", request)
    return response


def order_of(response: shell_pb2.GetSessionResponse) -> bytes:
    """Return the payload of a session's order, as the server hands it out."""
    return from_message(response.order).payload


def _wait_for_signatures(app: App, order_id: str) -> None:
    request = wire.order_pb2.GetOrderRequest(order_id=order_id)
    while True:
        time.sleep(LOOK_SECONDS)
        answer: order_pb2.GetOrderResponse = app.call("order.GetOrder", request)
        if answer.order.ended:
            reason = next((one.reason for one in answer.targets), "")
            raise PreconditionFailed(
                f"nobody approved the session: {reason or 'it ended'}",
                subject=order_id,
                code="not-approved",
            )
        if not answer.order.missing_signatures:
            return
