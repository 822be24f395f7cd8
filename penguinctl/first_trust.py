"""The fleet's trust document, the first time this operator sees or makes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl import signing
from penguinctl.envelopes import from_message
from penguinctl.trust_store import (
    DRAFT,
    TrustStore,
    decode,
    fetch,
    publish,
    refused,
)
from penguindome import certs, trust
from penguindome.envelope_json import to_json
from penguindome.errors import Forbidden, InvalidInput, PreconditionFailed

if TYPE_CHECKING:
    from datetime import datetime

    from penguinctl.profile import Profile, ProfileFolder
    from penguinctl.session import Session
    from penguindome.envelope import Envelope
    from penguindome.v1 import envelope_pb2


class FirstTrust:
    """Adopts the fleet's trust document, or makes it where there is none."""

    def __init__(
        self, folder: ProfileFolder, profile: Profile, session: Session, now: datetime
    ) -> None:
        self._folder = folder
        self._profile = profile
        self._session = session
        self._now = now
        self.store = TrustStore(folder)

    def on_server(self) -> list[envelope_pb2.TrustDocument]:
        """Return what the server has, not verified."""
        return fetch(self._session)

    def adopt(self, documents: list[envelope_pb2.TrustDocument], pinned_hash: bytes) -> None:
        """Verify the server's documents against a pinned hash or our own draft, and store them.

        Raises:
            PreconditionFailed: There is nothing to verify them against.
            NotVerified: They are not what was pinned.
        """
        if self.store.versions():
            self.store.refresh(self._session, self._now)
            return
        pinned = pinned_hash or self._draft_hash()
        if not pinned:
            raise PreconditionFailed(
                "the fleet has a trust document, but your invitation was made before it and"
                " cannot vouch for it",
                subject="trust",
                code="trust-not-pinned",
                remedy="Ask an operator for the hash that their `penguinctl server status` shows,"
                " and run `penguinctl init --trust-hash HASH`",
            )
        self._accept(documents, pinned)
        self._folder.remove(DRAFT)

    def _accept(self, documents: list[envelope_pb2.TrustDocument], pinned: bytes) -> None:
        envelopes = [from_message(item.envelope) for item in documents]
        what = "the server's trust documents are not the pinned ones"
        try:
            newest = trust.replay(envelopes, current=None, pinned_hash=pinned, now=self._now)
        except (Forbidden, InvalidInput) as error:
            raise refused(what, error.reason) from error
        if newest.fleet != self._profile.fleet:
            raise refused(what, "they are another fleet's")
        pinned_seen = False
        for item, envelope in zip(documents, envelopes, strict=True):
            # What came before the pinned one was passed over, not verified.
            pinned_seen = pinned_seen or trust.document_hash(envelope.payload) == pinned
            if pinned_seen:
                self.store.keep(item.version, envelope)

    def make(self, key: signing.SigningKey, server_names: list[str]) -> None:
        """Make, sign and publish version 1.

        A draft is kept until the server has it, so that a run that was interrupted goes on with
        the same bytes.
        """
        envelope = self._draft() or self._signed(key, server_names)
        self._folder.write(DRAFT, to_json(envelope))
        publish(self._session, 1, envelope)
        self.store.keep(1, envelope)
        self._folder.remove(DRAFT)

    def _signed(self, key: signing.SigningKey, server_names: list[str]) -> Envelope:
        document = trust.first_version(
            fleet=self._profile.fleet,
            fingerprint=key.fingerprint,
            public_key=signing.public_key(key),
            operator_name=self._profile.operator,
            tls_anchors=(certs.pem_to_der(self._folder.read("anchor.pem")),),
            server_names=tuple(server_names),
            now=self._now,
        )
        return signing.sign(key, "trust", trust.to_payload(document))

    def _draft(self) -> Envelope | None:
        return decode(self._folder.read(DRAFT)) if self._folder.has(DRAFT) else None

    def _draft_hash(self) -> bytes:
        draft = self._draft()
        return trust.document_hash(draft.payload) if draft else b""
