"""The trust documents that this operator verified and pinned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl import wire
from penguinctl.envelopes import from_message, to_message
from penguinctl.exits import NotVerified
from penguindome import trust
from penguindome.envelope_json import from_json, to_json
from penguindome.errors import Damaged, Forbidden, InvalidInput, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penguinctl.profile import ProfileFolder
    from penguinctl.session import Session
    from penguindome.envelope import Envelope
    from penguindome.trust import TrustDocument
    from penguindome.v1 import envelope_pb2, trust_pb2

_FOLDER = "trust"
# Our own first version, kept until the server has it.
DRAFT = "trust/draft.json"


class TrustStore:
    """Documents by version, each verified before it is stored."""

    def __init__(self, folder: ProfileFolder) -> None:
        self._folder = folder

    def versions(self) -> list[int]:
        """Return the versions that are held, oldest first."""
        path = self._folder.path / _FOLDER
        if not path.is_dir():
            return []
        return sorted(int(item.stem) for item in path.glob("*.json") if item.stem.isdigit())

    def current(self) -> TrustDocument:
        """Return the newest document held.

        Raises:
            PreconditionFailed: None is held.
        """
        return trust.from_payload(self._newest().payload)

    def pin(self) -> bytes:
        """Return the hash of the newest document held, which tokens and invitations carry."""
        return trust.document_hash(self._newest().payload)

    def envelopes(self) -> list[Envelope]:
        """Return all documents held, as they were signed, oldest first."""
        return [decode(self._folder.read(f"{_FOLDER}/{one}.json")) for one in self.versions()]

    def keep(self, version: int, envelope: Envelope) -> None:
        """Store a verified document; the newest one's anchors are who we believe the server by."""
        if version >= max(self.versions(), default=0):
            anchors = trust.from_payload(envelope.payload).tls_anchors
            from penguindome import certs  # noqa: PLC0415 -- see certificate.py

            self._folder.write("anchor.pem", b"".join(map(certs.der_to_pem, anchors)))
        self._folder.write(f"{_FOLDER}/{version}.json", to_json(envelope))

    def refresh(self, session: Session, now: datetime) -> None:
        """Fetch and verify what is newer than what is held.

        Raises:
            NotVerified: The server's documents do not continue ours.
        """
        current = self.current()
        newer = [item for item in fetch(session) if item.version > current.version]
        self.extend(newer, current, now)

    def extend(
        self, newer: Sequence[envelope_pb2.TrustDocument], current: TrustDocument, now: datetime
    ) -> None:
        """Verify that documents continue the current one, and store them."""
        for item in sorted(newer, key=lambda item: item.version):
            envelope = from_message(item.envelope)
            with_reason = f"trust document {item.version} does not continue the one we hold"
            try:
                current = trust.accept_next(current, envelope, now)
            except (Forbidden, InvalidInput) as error:
                raise refused(with_reason, error.reason) from error
            self.keep(current.version, envelope)

    def _newest(self) -> Envelope:
        versions = self.versions()
        if not versions:
            raise PreconditionFailed(
                "you hold no trust document yet",
                subject="trust",
                code="no-trust",
                remedy="Run `penguinctl init` again; an admin's first run makes the document",
            )
        return decode(self._folder.read(f"{_FOLDER}/{versions[-1]}.json"))


def fetch(session: Session) -> list[envelope_pb2.TrustDocument]:
    """Return all of the server's documents, oldest first, not verified."""
    response: trust_pb2.GetTrustResponse = session.call(
        "trust.GetTrust", wire.trust_pb2.GetTrustRequest()
    )
    return sorted(response.documents, key=lambda item: item.version)


def publish(session: Session, version: int, envelope: Envelope) -> None:
    """Hand a signed version to the server, which checks it as a device would."""
    document = wire.envelope_pb2.TrustDocument(version=version, envelope=to_message(envelope))
    session.call("trust.PublishTrust", wire.trust_pb2.PublishTrustRequest(document=document))


def refused(what: str, reason: str) -> NotVerified:
    """Return the error for trust that does not verify."""
    return NotVerified(
        f"{what}: {reason}",
        subject="trust",
        code="trust-not-verified",
        remedy="Nothing was stored; ask another operator which trust hash is right"
        " (`penguinctl server status` shows theirs)",
    )


def decode(data: bytes) -> Envelope:
    """Return an envelope that the profile kept.

    Raises:
        Damaged: The file was changed by something else.
    """
    try:
        return from_json(data)
    except InvalidInput as error:
        raise Damaged(
            "a stored trust document cannot be read",
            subject="trust",
            remedy="Remove the profile's folder trust/ and run `penguinctl init` again",
        ) from error
