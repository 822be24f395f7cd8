"""The next version of the trust document: for another year, and for whom."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from penguinctl import moments, signing, ui
from penguinctl.trust_store import publish
from penguindome import trust
from penguindome.errors import Forbidden, NotSupported

if TYPE_CHECKING:
    from datetime import datetime

    from penguinctl.app import App
    from penguinctl.trust_store import TrustStore
    from penguindome.trust import TrustDocument


def publish_next(
    app: App, store: TrustStore, following: TrustDocument, key: signing.SigningKey
) -> None:
    """Sign and publish what follows the newest document held, and pin it.

    The key stands in it as it is now: its owner may have moved its end.

    Raises:
        PreconditionFailed: This operator holds no trust document, or gpg did not sign.
        Forbidden: The key has not the root role.
        NotSupported: The root role needs several signatures.
    """
    # Both have to be signed by their own roots; so nobody removes themselves.
    for each in (store.current(), following):
        _check_root(each, key.fingerprint)
    keys = {**following.keys, key.fingerprint: signing.public_key(key)}
    document = replace(following, keys=keys)
    envelope = signing.sign(key, trust.KIND, trust.to_payload(document))
    publish(app.session, document.version, envelope)
    store.keep(document.version, envelope)


def warn(document: TrustDocument, now: datetime) -> None:
    """Tell the operator in time that a trust document ends, or has ended."""
    if document.expires_time - now < trust.RENEW_BEFORE:
        verb = "ended" if document.expires_time <= now else "ends"
        ui.note(
            f"The trust document {verb} {moments.relative(document.expires_time, now)};"
            " a root operator renews it: penguinctl trust renew"
        )


def _check_root(document: TrustDocument, fingerprint: str) -> None:
    root = document.roles["root"]
    if fingerprint not in root.fingerprints:
        names = ", ".join(document.operators[one] for one in root.fingerprints)
        raise Forbidden(
            "your signing key has not the root role",
            subject=fingerprint,
            code="not-root",
            remedy=f"Ask one who has it: {names}",
        )
    if root.threshold > 1:
        raise NotSupported(
            f"the root role needs {root.threshold} signatures, and penguinctl makes one",
            subject="trust",
        )
