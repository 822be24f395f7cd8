"""The next version of the trust document: signed, and published or proposed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from penguinctl import moments, signing, trust_proposals, ui
from penguinctl.trust_store import publish
from penguindome import trust
from penguindome.errors import AlreadyExists, Forbidden
from penguindome.trust_proposal import standing

if TYPE_CHECKING:
    from datetime import datetime

    from penguinctl.app import App
    from penguinctl.trust_proposals import Proposed
    from penguinctl.trust_store import TrustStore
    from penguindome.envelope import Envelope
    from penguindome.trust import TrustDocument


def hand_in(
    app: App, store: TrustStore, following: TrustDocument, key: signing.SigningKey
) -> Proposed | None:
    """Sign what follows the newest document held; publish it if that suffices, else propose it.

    The key stands in it as it is now: its owner may have moved its end.

    Returns:
        The proposal; None if the document is published, and pinned here.

    Raises:
        PreconditionFailed: This operator holds no trust document, or gpg did not sign.
        Forbidden: The key has the root role in neither document.
        AlreadyExists: Something else is proposed already.
    """
    current = store.current()
    envelope = signed(current, following, key)
    document = trust.from_payload(envelope.payload)
    if not standing(current, document, envelope).complete:
        check_place(app, store)
        return trust_proposals.propose(app.session, store.pin(), current, envelope, app.now)
    publish(app.session, document.version, envelope)
    store.keep(document.version, envelope)
    return None


def signed(current: TrustDocument, following: TrustDocument, key: signing.SigningKey) -> Envelope:
    """Return the next version with our signature.

    Raises:
        Forbidden: The key has the root role in neither document.
        PreconditionFailed: gpg did not sign.
    """
    check_root(current, following, key.fingerprint)
    keys = dict(following.keys)
    if key.fingerprint in keys:
        keys[key.fingerprint] = signing.public_key(key)
    payload = trust.to_payload(replace(following, keys=keys))
    return signing.sign(key, trust.KIND, payload)


def check_place(app: App, store: TrustStore) -> None:
    """Check that nothing is proposed, which a further proposal would push aside.

    Raises:
        AlreadyExists: Something is.
    """
    message = trust_proposals.fetch(app.session)
    if message is not None:
        raise AlreadyExists(
            f"{message.proposed_by} proposed version {store.current().version + 1} already",
            subject="trust",
            code="already-proposed",
            remedy="See `penguinctl trust show`; sign it with `penguinctl trust sign`, or withdraw"
            " it with `penguinctl trust withdraw`",
        )


def check_root(current: TrustDocument, following: TrustDocument, fingerprint: str) -> None:
    """Check that a key may sign what follows the current document.

    Raises:
        Forbidden: It has the root role in neither.
    """
    if fingerprint in {*_roots(current), *_roots(following)}:
        return
    names = ", ".join(current.operators[one] for one in _roots(current))
    raise Forbidden(
        "your signing key has not the root role",
        subject=fingerprint,
        code="not-root",
        remedy=f"Ask one who has it: {names}",
    )


def warn(document: TrustDocument, now: datetime) -> None:
    """Tell the operator in time that a trust document ends, or has ended."""
    if document.expires_time - now < trust.RENEW_BEFORE:
        verb = "ended" if document.expires_time <= now else "ends"
        ui.note(
            f"The trust document {verb} {moments.relative(document.expires_time, now)};"
            " a root operator renews it: penguinctl trust renew"
        )


def _roots(document: TrustDocument) -> tuple[str, ...]:
    return document.roles["root"].fingerprints
