"""Building what holds identities: who is blocked, a clone, an operator, or has to sign."""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.identity.blocking import Blocking
from penguind.identity.clones import Clones
from penguind.identity.invitations import Invitations
from penguind.identity.operators import Operators
from penguind.identity.trust_proposals import TrustProposals
from penguind.own_issues import OwnIssues
from penguind.services.operator import OperatorService
from penguind.services.trust import TrustService

if TYPE_CHECKING:
    from penguind.wiring_base import Base, Judging


def make_blocking(base: Base, judging: Judging) -> Blocking:
    """Build what cuts devices off; the `run` of one of them has to run."""
    stores = base.stores
    return Blocking(
        devices=stores.devices,
        ratchets=stores.ratchets,
        identities=base.identities,
        issues=OwnIssues(stores.issues, judging.checks, judging.push),
        ledger=base.ledger,
        clock=base.clock,
    )


def make_clones(base: Base, blocking: Blocking) -> Clones:
    """Build what tells two holders of one key from one."""
    stores = base.stores
    return Clones(
        ratchets=stores.ratchets, devices=stores.devices, meta=stores.meta, blocking=blocking
    )


def make_operator_service(base: Base) -> OperatorService:
    """Build what admins change operators with."""
    stores = base.stores
    operators = Operators(
        operators=stores.operators,
        invitations=stores.invitations,
        ranges=stores.role_ranges,
        inviting=Invitations(stores.invitations, base.clock),
        identities=base.identities,
        clock=base.clock,
    )
    return OperatorService(operators, base.ranges, base.advertised, base.clock)


def make_trust_service(base: Base) -> TrustService:
    """Build what operators change the trust document with."""
    proposals = TrustProposals(base.stores.trust_proposals, base.trust, base.clock)
    return TrustService(base.trust, proposals)
