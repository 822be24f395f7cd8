"""The operator certificate: checked when it comes, renewed before it ends.

It is renewed by proof of possession of the key, in the course of any command, once less than a
third of its lifetime is left; also some time after its end.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from penguinctl import moments, ui, wire
from penguinctl.exits import NotVerified
from penguinctl.session import connect_bootstrap
from penguinctl.trust_store import TrustStore
from penguinctl.whereabouts import placed
from penguindome import keys
from penguindome.errors import InvalidInput, PenguinDomeError, Unauthenticated, Unavailable
from penguindome.names import Principal, to_uri
from penguindome.possession import renew_operator_bytes
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from penguinctl.profile import Profile, ProfileFolder
    from penguinctl.session import Session
    from penguindome.certs import CertificateFacts

# A command that can go on without must not wait for long.
_TIMEOUT_SECONDS = 10.0
_ASK = "Ask for a new invitation (`penguind operator invite`) and run `penguinctl init`"


def checked(certificate: bytes, key: bytes, *, fleet: str, operator: str) -> CertificateFacts:
    """Return what a certificate from the server says, if it is for our key and name.

    Trust: the server wrote it, and we have authenticated the server.

    Raises:
        NotVerified: It is another one, or none.
    """
    # The library for certificates takes longer to load than most commands to be answered.
    from penguindome import certs  # noqa: PLC0415 -- see above

    try:
        facts = certs.parse_certificate(certificate)
    except InvalidInput as error:
        raise NotVerified("the server sent no certificate", subject="certificate") from error
    uri = to_uri(Principal("operator", fleet, operator))
    if facts.spki != keys.key_spki(key) or facts.uris != (uri,):
        raise NotVerified(
            "the server's answer is a certificate for another key or another name",
            subject="certificate",
            remedy="Nothing was stored; tell the server's administrator",
        )
    return facts


def renewed(folder: ProfileFolder, profile: Profile, now: datetime, host: str = "") -> Profile:
    """Return the profile with a certificate that lasts, renewed if need be.

    A certificate that still holds and cannot be renewed now is used; the operator is told.

    Args:
        folder: The profile's files.
        profile: Who we are.
        now: The time.
        host: Where the server is dialled, if not where the profile says.

    Raises:
        Unauthenticated: It has ended, and the server does not renew it.
        Unavailable: It has ended, and the server cannot be reached.
        NotVerified: It has ended, and whoever answers is not our server.
    """
    if not host:
        profile = placed(folder, profile)
    if _lasting(profile, now):
        return profile
    try:
        with _alone(folder):
            # Another run may have renewed it while we waited.
            profile = folder.load()
            return profile if _lasting(profile, now) else _renew(folder, profile, host, now)
    except PenguinDomeError as error:
        _judge(error, profile, now)
        return profile


def _lasting(profile: Profile, now: datetime) -> bool:
    """Tell whether more than a third of the certificate's lifetime is left."""
    left_ms = profile.certificate_expires_unix_ms - to_unix_ms(now)
    lifetime_ms = profile.certificate_expires_unix_ms - profile.certificate_starts_unix_ms
    return 3 * left_ms > lifetime_ms


def _renew(folder: ProfileFolder, profile: Profile, host: str, now: datetime) -> Profile:
    key = folder.read("key.pem")
    session = connect_bootstrap(
        host or profile.host,
        profile.bootstrap_port,
        anchor_pem=folder.read("anchor.pem"),
        server_name=profile.host if host else "",
    )
    try:
        certificate = _fetch(session, profile.operator, key)
        _catch_up(folder, session, now)
    finally:
        session.close()
    facts = checked(certificate, key, fleet=profile.fleet, operator=profile.operator)
    folder.write("certificate.pem", certificate)
    profile = replace(
        profile,
        certificate_starts_unix_ms=to_unix_ms(facts.not_before),
        certificate_expires_unix_ms=to_unix_ms(facts.not_after),
    )
    folder.save(profile)
    return profile


def _catch_up(folder: ProfileFolder, session: Session, now: datetime) -> None:
    """Pin what was signed while we were away: anchors and addresses may be new.

    Raises:
        NotVerified: The server's documents do not continue ours.
    """
    store = TrustStore(folder)
    if not store.versions():
        return
    current = store.current()
    request = wire.bootstrap_pb2.GetTrustChainRequest(after_version=current.version)
    answer = session.call("bootstrap.GetTrustChain", request, timeout_seconds=_TIMEOUT_SECONDS)
    store.extend(answer.documents, current, now)


def _fetch(session: Session, operator: str, key: bytes) -> bytes:
    begun = wire.bootstrap_pb2.BeginRequest()
    nonce = session.call("bootstrap.Begin", begun, timeout_seconds=_TIMEOUT_SECONDS).nonce
    request = wire.bootstrap_pb2.RenewOperatorRequest(
        nonce=nonce,
        operator_name=operator,
        signature=keys.sign(key, renew_operator_bytes(nonce, operator)),
    )
    answer = session.call("bootstrap.RenewOperator", request, timeout_seconds=_TIMEOUT_SECONDS)
    certificate: bytes = answer.certificate
    return certificate


def _judge(error: PenguinDomeError, profile: Profile, now: datetime) -> None:
    """Say that the certificate was not renewed; raise if it has ended."""
    end = moments.moment(profile.certificate_expires_unix_ms)
    if end is not None and end > now:
        when = moments.relative(end, now)
        ui.note(f"Your operator certificate ends {when} and was not renewed: {error.text()}")
        return
    if isinstance(error, Unavailable | NotVerified):
        raise error
    when = moments.relative(end, now) if end else "some time ago"
    raise Unauthenticated(
        f"your operator certificate ended {when} and was not renewed: {error.reason}",
        subject=profile.operator,
        code="certificate-expired",
        remedy=_ASK,
    ) from error


@contextmanager
def _alone(folder: ProfileFolder) -> Iterator[None]:
    """Wait until no other run renews this profile; the server keeps few certificates of ours."""
    descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
