"""Becoming an operator: from an invitation to a profile with a certificate.

Each step leaves something on disk that the next run finds, so that an interruption anywhere is
mended by running again: the key and the request are kept and sent again byte for byte.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl import wire
from penguinctl.exits import NotVerified
from penguinctl.profile import Profile, ProfileFolder
from penguinctl.session import connect_bootstrap
from penguindome import certs, keys
from penguindome.csr import make_csr
from penguindome.errors import Damaged, PreconditionFailed
from penguindome.names import Principal, to_uri
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from penguindome.tokens import Invitation
    from penguindome.v1 import bootstrap_pb2


def redeem(folder: ProfileFolder, invitation: Invitation) -> Profile:
    """Return the profile that an invitation makes, or that it made before.

    Raises:
        PreconditionFailed: The folder belongs to another fleet or operator.
        NotVerified: The server is not the invitation's, or its certificate is not for our key.
        PenguinDomeError: The server refused the invitation.
    """
    folder.create()
    previous = folder.load() if folder.exists() else None
    if previous is not None:
        _check_same(previous, invitation, folder)
        if previous.invitation_id == invitation.invitation_id.hex():
            return previous
    certificate = _certificate(folder, invitation)
    folder.write("certificate.pem", certificate)
    folder.write("anchor.pem", certs.der_to_pem(invitation.anchor))
    profile = _profile(invitation, certificate, previous)
    folder.save(profile)
    folder.remove("request.der")
    return profile


def _check_same(previous: Profile, invitation: Invitation, folder: ProfileFolder) -> None:
    ours = (previous.fleet, previous.operator)
    if ours != (invitation.fleet, invitation.operator_name):
        raise PreconditionFailed(
            f"this profile is {previous.operator}'s in fleet {previous.fleet}, the invitation is"
            f" {invitation.operator_name}'s in fleet {invitation.fleet}",
            subject=str(folder.path),
            code="other-profile",
            remedy="Keep several profiles apart with --config-dir",
        )


def _certificate(folder: ProfileFolder, invitation: Invitation) -> bytes:
    if not folder.has("key.pem"):
        folder.write("key.pem", keys.generate_key())
    key = folder.read("key.pem")
    if not folder.has("request.der"):
        folder.write("request.der", make_csr(key))
    session = connect_bootstrap(
        invitation.host,
        invitation.bootstrap_port,
        anchor_pem=certs.der_to_pem(invitation.anchor),
    )
    request = wire.bootstrap_pb2.RedeemInvitationRequest(
        invitation_id=invitation.invitation_id,
        invitation_secret=invitation.secret,
        csr=folder.read("request.der"),
    )
    response: bootstrap_pb2.RedeemInvitationResponse = session.call(
        "bootstrap.RedeemInvitation", request
    )
    session.close()
    _check_certificate(response.certificate, key, invitation)
    return response.certificate


def _check_certificate(certificate: bytes, key: bytes, invitation: Invitation) -> None:
    try:
        facts = certs.parse_certificate(certificate)
    except Damaged as error:
        raise NotVerified("the server sent no certificate", subject="certificate") from error
    principal = Principal("operator", invitation.fleet, invitation.operator_name)
    if facts.spki != keys.key_spki(key) or facts.uris != (to_uri(principal),):
        raise NotVerified(
            "the server's answer is a certificate for another key or another name",
            subject="certificate",
            remedy="Nothing was stored; tell the server's administrator",
        )


def _profile(invitation: Invitation, certificate: bytes, previous: Profile | None) -> Profile:
    return Profile(
        fleet=invitation.fleet,
        operator=invitation.operator_name,
        host=invitation.host,
        main_port=invitation.main_port,
        bootstrap_port=invitation.bootstrap_port,
        invitation_id=invitation.invitation_id.hex(),
        certificate_expires_unix_ms=to_unix_ms(certs.parse_certificate(certificate).not_after),
        signing_key=previous.signing_key if previous else "",
        gpg_home=previous.gpg_home if previous else "",
        own_home=previous.own_home if previous else False,
    )
