"""Invitations: how a person becomes an operator."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from penguind.access import ROLES
from penguind.domain.operator import (
    SERIALS_KEPT,
    Operator,
    OperatorInvitation,
    invitation_refused,
)
from penguindome import certs
from penguindome.errors import InvalidInput
from penguindome.names import valid_operator_name
from penguindome.tokens import hash_secret

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penguind.identity.authority import Authority, Issued
    from penguind.identity.identities import Identities
    from penguind.ledger import Ledger
    from penguind.store.invitations import InvitationStore
    from penguind.store.operators import OperatorStore

DEFAULT_TTL = timedelta(days=7)
_LONGEST = timedelta(days=30)


class Invitations:
    """Makes invitations; redeeming needs what only the running server has."""

    def __init__(self, store: InvitationStore, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock

    async def create(
        self, name: str, roles: Sequence[str], ttl: timedelta, by: str
    ) -> tuple[bytes, bytes, datetime]:
        """Make an invitation; returns its id, its secret, which is not kept, and its end.

        The ledger's row is the caller's.

        Raises:
            InvalidInput: naming a bad name, role or duration.
        """
        check_invitation(name, roles, ttl)
        now = self._clock()
        invitation_id, secret = secrets.token_bytes(8), secrets.token_bytes(32)
        invitation = OperatorInvitation(
            invitation_id=invitation_id.hex(),
            secret_hash=hash_secret(secret),
            name=name,
            roles=tuple(sorted(set(roles))),
            created_by=by,
            created_time=now,
            expires_time=now + ttl,
        )
        # A former invitation of the same name could put its former key back.
        await self._store.withdraw(name)
        await self._store.insert(invitation)
        return invitation_id, secret, invitation.expires_time


class Redemption:
    """Makes operators of those who hold an invitation."""

    def __init__(
        self,
        *,
        invitations: InvitationStore,
        operators: OperatorStore,
        identities: Identities,
        authority: Authority,
        ledger: Ledger,
        clock: Callable[[], datetime],
    ) -> None:
        self._invitations = invitations
        self._operators = operators
        self._identities = identities
        self._authority = authority
        self._ledger = ledger
        self._clock = clock

    async def redeem(
        self, invitation_id: bytes, secret: bytes, csr: bytes
    ) -> tuple[Operator, Issued]:
        """Return the operator and a fresh certificate; the same request may come again.

        Raises:
            InvalidInput: the request's key is not acceptable.
            Forbidden: the invitation is not accepted.
        """
        now = self._clock()
        spki = certs.csr_spki(csr)
        invitation = await self._known(invitation_id.hex(), secret)
        csr_hash = hashlib.sha256(csr).digest()
        if not await self._invitations.reserve(invitation.invitation_id, csr_hash, now):
            raise invitation_refused()
        issued = self._authority.issue("operator", invitation.name, spki, now)
        operator = await self._joined(invitation, spki, issued, now)
        details = {"roles": list(operator.roles), "key_fingerprint": certs.fingerprint(spki)}
        await self._ledger.append(
            f"invitation/{invitation.invitation_id}", "operator.join", operator.name, details
        )
        await self._operators.put(operator)
        self._identities.end("operator", operator.name)
        # Who revokes withdraws first: what was put after that must not outlive it.
        if await self._invitations.get(invitation.invitation_id) is None:
            await self._operators.revoke(operator.name)
            raise invitation_refused()
        return operator, issued

    async def _known(self, invitation_id: str, secret: bytes) -> OperatorInvitation:
        invitation = await self._invitations.get(invitation_id)
        known = bytes(32) if invitation is None else invitation.secret_hash
        right = hmac.compare_digest(known, hash_secret(secret))
        if invitation is None:
            raise invitation_refused()
        if not right:
            await self._invitations.count_wrong_secret(invitation_id)
            raise invitation_refused()
        return invitation

    async def _joined(
        self, invitation: OperatorInvitation, spki: bytes, issued: Issued, now: datetime
    ) -> Operator:
        """Return the operator's record; a repeated request keeps the certificates it got."""
        before = await self._operators.get(invitation.name)
        kept = before.serials if before is not None and before.spki == spki else ()
        return Operator(
            name=invitation.name,
            roles=invitation.roles,
            spki=spki,
            serials=(*kept, issued.serial)[-SERIALS_KEPT:],
            joined_time=now,
            certificate_expires_time=issued.expires_time,
        )


def check_invitation(name: str, roles: Sequence[str], ttl: timedelta) -> None:
    """Check what an invitation is to say.

    Raises:
        InvalidInput: naming a bad name, role or duration.
    """
    check_operator(name, roles)
    if not timedelta(minutes=1) <= ttl <= _LONGEST:
        raise InvalidInput("an invitation is valid for a minute to 30 days", subject="ttl")


def check_operator(name: str, roles: Sequence[str]) -> None:
    """Check an operator's name and roles.

    Raises:
        InvalidInput: naming what is wrong.
    """
    if not valid_operator_name(name):
        raise InvalidInput(
            "not an operator's name",
            subject=name[:64],
            remedy="use lower-case letters, digits, dots, dashes and underscores",
        )
    check_roles(name, roles)


def check_roles(subject: str, roles: Sequence[str]) -> None:
    """Check that there are roles, and that they are known.

    Raises:
        InvalidInput: naming what is wrong.
    """
    unknown = sorted(set(roles) - set(ROLES))
    if unknown or not roles:
        raise InvalidInput(
            f"unknown role {unknown[0][:64]!r}" if unknown else "an operator needs a role",
            subject=subject[:64],
            remedy=f"the roles are {', '.join(ROLES)}",
        )
