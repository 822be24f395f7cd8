"""Becoming an operator: from an invitation to a profile with a certificate.

Each step leaves something on disk that the next run finds, so that an interruption anywhere is
mended by running again: the key and the request are kept and sent again byte for byte. Each
invitation gets a key of its own, as the former one may be why there is a new invitation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl import wire
from penguinctl.certificate import checked
from penguinctl.profile import Profile, ProfileFolder
from penguinctl.session import connect_bootstrap
from penguindome import certs, keys
from penguindome.csr import make_csr
from penguindome.errors import PreconditionFailed
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from penguindome.certs import CertificateFacts
    from penguindome.tokens import Invitation
    from penguindome.v1 import bootstrap_pb2

# The key and the request of an invitation until its certificate is here.
_NEXT_KEY, _REQUEST = "next-key.pem", "request.der"


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
            _tidy(folder)
            return previous
    certificate = _certificate(folder, invitation)
    key = folder.read(_NEXT_KEY)
    name = invitation.operator_name
    facts = checked(certificate, key, fleet=invitation.fleet, operator=name)
    folder.write("key.pem", key)
    folder.write("certificate.pem", certificate)
    folder.write("anchor.pem", certs.der_to_pem(invitation.anchor))
    profile = _profile(invitation, facts, previous)
    folder.save(profile)
    _tidy(folder)
    return profile


def _check_same(previous: Profile, invitation: Invitation, folder: ProfileFolder) -> None:
    ours = (previous.fleet, previous.operator)
    if ours != (invitation.fleet, invitation.operator_name):
        raise PreconditionFailed(
            f"this profile is {previous.operator}'s in fleet {previous.fleet}, the invitation is"
            f" {invitation.operator_name}'s in fleet {invitation.fleet}",
            subject=str(folder.path),
            code="other-profile",
            remedy="Give this one a name of its own: penguinctl --profile NAME init",
        )


def _certificate(folder: ProfileFolder, invitation: Invitation) -> bytes:
    if not folder.has(_NEXT_KEY):
        folder.remove(_REQUEST)
        folder.write(_NEXT_KEY, keys.generate_key())
    if not folder.has(_REQUEST):
        folder.write(_REQUEST, make_csr(folder.read(_NEXT_KEY)))
    session = connect_bootstrap(
        invitation.host,
        invitation.bootstrap_port,
        anchor_pem=certs.der_to_pem(invitation.anchor),
    )
    request = wire.bootstrap_pb2.RedeemInvitationRequest(
        invitation_id=invitation.invitation_id,
        invitation_secret=invitation.secret,
        csr=folder.read(_REQUEST),
    )
    response: bootstrap_pb2.RedeemInvitationResponse = session.call(
        "bootstrap.RedeemInvitation", request
    )
    session.close()
    return response.certificate


def _tidy(folder: ProfileFolder) -> None:
    folder.remove(_REQUEST)
    folder.remove(_NEXT_KEY)


def _profile(invitation: Invitation, facts: CertificateFacts, previous: Profile | None) -> Profile:
    return Profile(
        fleet=invitation.fleet,
        operator=invitation.operator_name,
        host=invitation.host,
        main_port=invitation.main_port,
        bootstrap_port=invitation.bootstrap_port,
        invitation_id=invitation.invitation_id.hex(),
        certificate_starts_unix_ms=to_unix_ms(facts.not_before),
        certificate_expires_unix_ms=to_unix_ms(facts.not_after),
        signing_key=previous.signing_key if previous else "",
        gpg_home=previous.gpg_home if previous else "",
        own_home=previous.own_home if previous else False,
    )
