"""What admins do to operators: invite, list, change roles, revoke.

A fleet must keep an admin who can call. Whoever lost the last one invites a new one on the server
itself, where these rules do not bind.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.domain.operator import LONGEST_ABSENCE
from penguind.identity.invitations import check_operator, check_roles
from penguindome.errors import NotFound, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime, timedelta

    from penguind.domain.operator import Operator, OperatorInvitation
    from penguind.identity.identities import Identities
    from penguind.identity.invitations import Invitations
    from penguind.store.invitations import InvitationStore
    from penguind.store.operators import OperatorStore
    from penguind.store.role_ranges import RoleRangeStore
    from penguindome.times import Clock

_ADMIN = "admin"
_TRIES = 8


@dataclass(frozen=True, slots=True)
class Everyone:
    """Operators and open invitations by name, and the roles' networks by role."""

    operators: Sequence[Operator]
    invitations: Sequence[OperatorInvitation]
    ranges: Mapping[str, Sequence[str]]


class Operators:
    """Changes operators' records, one change at a time."""

    def __init__(
        self,
        *,
        operators: OperatorStore,
        invitations: InvitationStore,
        ranges: RoleRangeStore,
        inviting: Invitations,
        identities: Identities,
        clock: Clock,
    ) -> None:
        self._operators = operators
        self._invitations = invitations
        self._ranges = ranges
        self._inviting = inviting
        self._identities = identities
        self._clock = clock
        # Two admins who take each other's role at once would leave none.
        self._alone = asyncio.Lock()

    async def invite(
        self, name: str, roles: Sequence[str], ttl: timedelta, by: str
    ) -> tuple[bytes, bytes, datetime]:
        """Make an invitation; returns its id, its secret, which is not kept, and its end.

        Raises:
            InvalidInput: naming a bad name, role or duration.
            PreconditionFailed: it would take the admin's role from the last admin.
        """
        check_operator(name, roles)
        if _ADMIN not in roles:
            await self._keep_an_admin(name)
        return await self._inviting.create(name, roles, ttl, by)

    async def everyone(self) -> Everyone:
        """Return all operators, open invitations and limits."""
        return Everyone(
            await self._operators.all(),
            await self._invitations.open(self._clock()),
            await self._ranges.all(),
        )

    async def set_roles(
        self, name: str, add: Sequence[str], remove: Sequence[str]
    ) -> tuple[str, ...]:
        """Change roles and return all of them; they hold from the operator's next call on.

        Raises:
            NotFound: there is no such operator.
            InvalidInput: naming a role that is none, or leaving none.
            PreconditionFailed: the operator is revoked, or is the last admin.
        """
        check_roles(name, [*add, *remove])
        async with self._alone:
            for _ in range(_TRIES):
                operator = await self._existing(name)
                roles = tuple(sorted({*operator.roles, *add} - set(remove)))
                check_roles(name, roles)
                if _ADMIN in operator.roles and _ADMIN not in roles:
                    await self._keep_an_admin(name)
                if await self._operators.set_roles(name, operator.roles, roles):
                    self._identities.forget("operator", name)
                    return roles
        raise PreconditionFailed("the operator changes all the time", subject=name[:64])

    async def revoke(self, name: str) -> None:
        """End an operator's access, live calls at once; open invitations are withdrawn.

        Raises:
            NotFound: there is neither such an operator nor an invitation.
            PreconditionFailed: it is the last admin.
        """
        async with self._alone:
            operator = await self._operators.get(name)
            if operator is not None and not operator.revoked:
                await self._keep_an_admin(name)
            # First: an invitation that is redeemed meanwhile must not outlive this.
            withdrawn = await self._invitations.withdraw(name)
            if not await self._operators.revoke(name) and not withdrawn:
                raise no_operator(name)
            self._identities.end("operator", name)

    async def _existing(self, name: str) -> Operator:
        operator = await self._operators.get(name)
        if operator is None:
            raise no_operator(name)
        if operator.revoked:
            raise PreconditionFailed(
                "the operator is revoked",
                subject=name,
                remedy="invite the person again: penguinctl operator invite",
            )
        return operator

    async def _keep_an_admin(self, name: str) -> None:
        """Check that somebody else is an admin, if this operator is one.

        Raises:
            PreconditionFailed: nobody else is.
        """
        now = self._clock()
        admins = {one.name for one in await self._operators.all() if _is_admin(one, now)}
        if admins == {name}:
            raise PreconditionFailed(
                "this is the last admin",
                code="last-admin",
                subject=name,
                remedy="make somebody else an admin first: penguinctl operator role NAME "
                "--add admin",
            )


def _is_admin(operator: Operator, now: datetime) -> bool:
    """Tell whether an operator can act as an admin, if need be with a renewed certificate."""
    lasting = now - operator.certificate_expires_time <= LONGEST_ABSENCE
    return _ADMIN in operator.roles and not operator.revoked and lasting


def no_operator(name: str) -> NotFound:
    """Return the answer to a name that is nobody's."""
    return NotFound(
        "there is no such operator",
        code="no-operator",
        subject=name[:64],
        remedy="penguinctl operator list shows those there are",
    )
