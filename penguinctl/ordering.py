"""Orders: for whom, what is signed, by whom, and on its way to the server.

Trust: the server picks the devices that selectors mean, and tells their hostnames. What is shown to
the operator is read from the very bytes that are signed, and a device does what they say only if
its hostname is the one that was shown.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguinctl import devices, signing, ui, wire
from penguinctl.envelopes import to_message
from penguinctl.trust_refresh import refreshed
from penguindome.display import printable
from penguindome.errors import Forbidden, InvalidInput, PreconditionFailed, Unavailable
from penguindome.ids import new_ulid
from penguindome.orders.kinds import Kind, kind_of
from penguindome.orders.opening import open_order, read_body
from penguindome.payload import make_payload, read_payload
from penguindome.times import format_duration

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import timedelta
    from pathlib import Path

    from penguinctl.app import App
    from penguinctl.signing import SigningKey
    from penguindome.envelope import Envelope
    from penguindome.orders.opening import Opened
    from penguindome.strict_json import Json
    from penguindome.trust import TrustDocument
    from penguindome.v1 import device_pb2, order_pb2

_LISTED = 20
# Fewer devices than these are never what makes an order too large.
_FEW = 1_000


@dataclass(frozen=True, slots=True)
class Picked:
    """Devices that an order is for.

    Attributes:
        devices: Those that allow it, by hostname.
        denying: Those whose own settings forbid it; the order leaves them out.
    """

    devices: tuple[device_pb2.Device, ...]
    denying: tuple[device_pb2.Device, ...] = ()

    @property
    def device_ids(self) -> tuple[str, ...]:
        """Return what payloads name."""
        return tuple(one.device_id for one in self.devices)

    @property
    def hostnames(self) -> dict[str, str]:
        """Return what bodies carry: hostnames by device id."""
        return {one.device_id: one.hostname for one in self.devices}


@dataclass(frozen=True, slots=True)
class Draft:
    """An order that nobody signed yet.

    Attributes:
        kind: Its kind's name.
        body: What the kind needs; names the devices' hostnames, too.
        devices: The devices' ids; None means the whole fleet.
        ttl: How long it is valid.
        reason: Why, for whoever reads it later.
        number: A release's number; None for others.
    """

    kind: str
    body: Mapping[str, Json]
    devices: Sequence[str] | None
    ttl: timedelta
    reason: str = ""
    number: int | None = None


@dataclass(frozen=True, slots=True)
class Signed:
    """An order with this operator's signature, and the trust document that it was held against."""

    envelope: Envelope
    opened: Opened
    trust: TrustDocument


def pick(app: App, selectors: Sequence[str], kind: str) -> Picked:
    """Return the active devices that selectors mean; those that forbid the kind apart, and told.

    Raises:
        NotFound: The selectors mean none.
        PreconditionFailed: `denied-by-device`: all of them forbid it.
    """
    allow = kind_of(kind).allow
    found = devices.find_some(app, selectors)
    denying = [one for one in found if allow in one.denied]
    allowing = tuple(one for one in found if allow not in one.denied)
    for one in denying[:_LISTED]:
        ui.note(f"{printable(one.hostname)}: its own settings forbid {allow}")
    if len(denying) > _LISTED:
        ui.note(f"… and those of {len(denying) - _LISTED} further devices")
    if not allowing:
        raise PreconditionFailed(
            f"no device is left that allows {allow}",
            subject=" ".join(selectors),
            code="denied-by-device",
            remedy="Nothing was sent; a device's own settings stand in its agent.toml, and only its"
            " root changes them",
        )
    return Picked(allowing, tuple(denying))


def signed(
    app: App,
    draft: Draft,
    *,
    passphrase_file: Path | None,
    yes: bool,
    ask: Callable[[], None] | None = None,
    trust: TrustDocument | None = None,
) -> Signed:
    """Show an order as it will be signed, ask if somebody is there, and sign it.

    Args:
        app: The running command.
        draft: What is ordered.
        passphrase_file: For automation.
        yes: Whether nothing is asked.
        ask: Asks instead, whoever is there, and raises PreconditionFailed after a no.
        trust: The newest document, by whoever has just asked the server for it.

    Raises:
        Forbidden: This operator's signature does not count for it, or devices would refuse it.
        NotVerified: What gpg made does not verify.
        InvalidInput: It would be valid for too long, or cannot be written.
        PreconditionFailed: It was not confirmed, or there is no signing key.
    """
    kind = kind_of(draft.kind)
    payload = _payload(app, kind, draft)
    trust = trust or refreshed(app).current()
    key = signing.own_key(app.profile, passphrase_file)
    check_role(trust, kind, key.fingerprint)
    if ask is not None or asks(yes=yes):
        from penguinctl import order_render  # noqa: PLC0415 -- who is not asked does not wait for it

        said = read_payload(payload)
        order_render.show(kind, said, read_body(said), app.now)
        ask = ask or (lambda: confirm(f"Sign and send this to {order_render.counted(said)}?"))
        ask()
    envelope = signing.sign(key, kind.name, payload, verifies=False)
    return Signed(envelope, _ours(app, envelope, trust, key), trust)


def _ours(app: App, envelope: Envelope, trust: TrustDocument, key: SigningKey) -> Opened:
    """Open what we have just signed; nothing goes anywhere that devices would not take as ours."""
    try:
        made = opened(app, envelope, trust)
    except Forbidden as error:
        if error.code == "not-signed":
            raise signing.unverified(key) from error
        raise
    if key.fingerprint not in made.signers:
        raise signing.unverified(key)
    return made


def opened(app: App, envelope: Envelope, trust: TrustDocument) -> Opened:
    """Open an order as a device would, apart from signatures that are still missing."""
    return open_order(
        envelope, trust=trust, fleet=trust.fleet, device_id=None, now=app.now, incomplete=True
    )


def _payload(app: App, kind: Kind, draft: Draft) -> bytes:
    if draft.ttl > kind.longest:
        raise InvalidInput(
            f"an order of this kind is valid for {format_duration(kind.longest)} at most",
            subject=format_duration(draft.ttl),
            remedy="Give a shorter --ttl",
        )
    try:
        return _written(app, kind, draft)
    except InvalidInput as error:
        if len(draft.devices or ()) < _FEW:
            raise
        raise InvalidInput(
            error.reason,
            code=error.code,
            subject=f"{len(draft.devices or ()):,} devices",
            remedy="Name fewer at once, e.g. by labels: an order holds the names of about 4,000",
        ) from error


def _written(app: App, kind: Kind, draft: Draft) -> bytes:
    return make_payload(
        fleet=app.profile.fleet,
        kind=kind.name,
        id=new_ulid(app.now),
        issued_time=app.now,
        not_before_time=app.now,
        expires_time=app.now + draft.ttl,
        devices=draft.devices,
        reason=draft.reason,
        by=app.profile.operator,
        body=draft.body,
        seq=draft.number,
    )


def check_role(trust: TrustDocument, kind: Kind, fingerprint: str) -> None:
    """Refuse an operator whose signature does not count for a kind.

    Raises:
        Forbidden: `not-in-role`.
    """
    role = trust.roles.get(kind.role)
    if role is not None and fingerprint in role.fingerprints:
        return
    names = sorted(trust.operators[one] for one in role.fingerprints) if role else []
    raise Forbidden(
        f"your signing key has not the role {kind.role} in the trust document",
        subject=fingerprint,
        code="not-in-role",
        remedy=f"Ask one who has it: {', '.join(names)}" if names else "Nobody has it",
    )


def asks(*, yes: bool) -> bool:
    """Tell whether a person is there to be asked.

    Raises:
        PreconditionFailed: Somebody is, but would not see the question.
    """
    if yes or not sys.stdin.isatty():
        return False
    if not sys.stderr.isatty():
        raise PreconditionFailed(
            "you could not see what is asked",
            code="not-confirmed",
            remedy="Nothing was done; do not redirect standard error, or give --yes",
        )
    return True


def confirm(question: str) -> None:
    """Go on only after a yes.

    Raises:
        PreconditionFailed: `not-confirmed`.
    """
    if ui.ask(f"{question} [y/N]").lower() not in ("y", "yes"):
        raise PreconditionFailed("not confirmed", code="not-confirmed", remedy="Nothing was done")


def submit(
    app: App, envelope: Envelope, rollout: order_pb2.RolloutPlan | None = None
) -> order_pb2.Order:
    """Hand a signed order to the server; an answer that was lost is asked for again.

    Raises:
        PenguinDomeError: Why the server did not take it, or could not be reached.
    """
    request = wire.order_pb2.SubmitOrderRequest(envelope=to_message(envelope), rollout=rollout)
    try:
        response: order_pb2.SubmitOrderResponse = app.call("order.SubmitOrder", request)
    except Unavailable:
        # The same bytes are the same order: the server takes them once.
        app.reconnect()
        response = app.call("order.SubmitOrder", request)
    return response.order


def tell_missing(order: order_pb2.Order, of: Signed) -> None:
    """Say how many signatures are missing, and who can give them; nothing where none is."""
    if not order.missing_signatures:
        return
    several = "" if order.missing_signatures == 1 else "s"
    ui.note(
        f"Order {of.opened.payload.id} waits for {order.missing_signatures} more signature{several}"
        f" before any device gets it. {who_can_sign(of.opened, of.trust)}"
    )


def who_can_sign(opened: Opened, trust: TrustDocument) -> str:
    """Say who can give the signatures that an order misses, by the trust document."""
    held = trust.roles[opened.kind.role].fingerprints
    left = sorted(trust.operators[one] for one in held if one not in opened.signers)
    if not left:
        return "Nobody else has the role: let a second operator in with penguinctl trust."
    return f"It can be given by {', '.join(left)}: penguinctl order approve {opened.payload.id}"
