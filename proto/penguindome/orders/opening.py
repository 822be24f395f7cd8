"""Open an order: everything about it that can be checked without a memory.

Trust: the envelope is whatever the server handed over. Nothing is parsed before enough operators
are known to have signed it.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from penguindome.envelope import CLOCK_TOLERANCE, Payload, check_signed, read_signed
from penguindome.errors import Forbidden, InvalidInput
from penguindome.orders.kinds import Kind, kind_of, signatures_needed
from penguindome.times import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from penguindome.envelope import Envelope
    from penguindome.orders.bodies import CancelBody, CommandBody, PatchBody, WipeBody
    from penguindome.orders.release_body import ReleaseBody
    from penguindome.orders.shell_body import ShellBody
    from penguindome.strict_json import Json
    from penguindome.trust_document import TrustDocument

    Body = CommandBody | PatchBody | ReleaseBody | WipeBody | ShellBody | CancelBody

# What reads a kind's body, in which module: who opens a session waits for no other kind's classes.
_READERS = {
    "release": ("release_body", "release_body"),
    "patch": ("bodies", "patch_body"),
    "command": ("bodies", "command_body"),
    "wipe-plan": ("bodies", "wipe_body"),
    "wipe": ("bodies", "wipe_body"),
    "shell": ("shell_body", "shell_body"),
}


@dataclass(frozen=True, slots=True)
class Opened:
    """An order whose signatures, form, fleet, targets and times are good.

    Attributes:
        kind: Its kind.
        payload: What was signed.
        body: The kind's part of it.
        signers: Fingerprints of those who signed, of the kind's role.
        missing: How many signatures are still needed; 0 on a device.
    """

    kind: Kind
    payload: Payload
    body: Body
    signers: frozenset[str]
    missing: int = 0


def open_order(
    envelope: Envelope,
    *,
    trust: TrustDocument,
    fleet: str,
    device_id: str | None,
    now: datetime,
    incomplete: bool = False,
) -> Opened:
    """Return what an order says, if it may say it.

    Args:
        envelope: As received.
        trust: The newest trust document.
        fleet: This fleet.
        device_id: This device; None for an operator or the server.
        now: The time.
        incomplete: Whether one signature suffices, since others may follow: never on a device.

    Raises:
        Forbidden: As `open_envelope`; or not-supported, wrong-targets, too-long, unconfirmed.
    """
    kind = kind_of(envelope.kind)
    held = trust.roles[kind.role].threshold if kind.role in trust.roles else 0
    least = signatures_needed(kind, held, 0)
    found = check_signed(envelope, trust, kind.role, 1 if incomplete else least)
    payload = read_signed(envelope, trust=trust, fleet=fleet, device_id=device_id, now=now)
    body = read_body(payload)
    _check_targets(kind, payload, body)
    if payload.expires_time - payload.issued_time > kind.longest + CLOCK_TOLERANCE:
        _refuse("too-long", f"it would be good for more than {format_duration(kind.longest)}")
    needed = signatures_needed(kind, held, len(payload.devices))
    if len(found) < needed and not incomplete:
        _refuse("not-signed", f"for so many devices it needs {needed} signatures")
    return Opened(kind, payload, body, found, max(needed - len(found), 0))


def hostname_of(opened: Opened, device_id: str) -> str | None:
    """Return the hostname that the operator was shown for a device; None in a release."""
    return opened.body.hostnames.get(device_id)


def read_body(payload: Payload) -> Body:
    """Return what the kind adds to a payload; whether it is signed is not asked here.

    Raises:
        Forbidden: `bad-payload` or `bad-files`.
    """
    try:
        return _reader(payload.kind)(payload.body)
    except InvalidInput as error:
        raise Forbidden(f"the order is refused: {error.reason}", code=error.code) from None


def _reader(kind: str) -> Callable[[Json], Body]:
    module, name = _READERS.get(kind, ("bodies", "cancel_body"))
    read: Callable[[Json], Body] = getattr(
        importlib.import_module(f"penguindome.orders.{module}"), name
    )
    return read


def _check_targets(kind: Kind, payload: Payload, body: Body) -> None:
    if (kind.targets == "fleet") != payload.all_devices:
        _refuse("wrong-targets", "its kind may not be for these targets")
    distinct = len(set(payload.devices))
    if distinct != len(payload.devices) or (kind.targets == "device" and distinct != 1):
        _refuse("wrong-targets", "it names a device twice, or has to be for exactly one")
    if kind.sequenced != (payload.seq is not None):
        _refuse("bad-payload", "its number is missing, or it has one that means nothing")
    if not payload.all_devices and set(body.hostnames) != set(payload.devices):
        _refuse("wrong-targets", "its hostnames are not those of its devices")
    if kind.name == "wipe":
        ((device_id, hostname),) = body.hostnames.items()
        if getattr(body, "confirmation", "") != f"{device_id} {hostname}":
            _refuse("unconfirmed", "what was typed is not the device's id and hostname")


def _refuse(code: str, reason: str) -> NoReturn:
    raise Forbidden(f"the order is refused: {reason}", code=code)
