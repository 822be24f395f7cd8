"""All collections of the server, made and prepared together."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, cast

from penguind.store.blobs import BlobStore
from penguind.store.devices import DeviceStore
from penguind.store.dump import is_marked
from penguind.store.expected_indexes import Listener, missing_of
from penguind.store.history import HistoryStore
from penguind.store.invitations import InvitationStore
from penguind.store.issues import IssueStore
from penguind.store.ledger import LedgerStore
from penguind.store.meta import MetaStore
from penguind.store.operators import OperatorStore
from penguind.store.order_output import OrderOutputStore
from penguind.store.order_targets import OrderTargetStore
from penguind.store.orders import OrderStore
from penguind.store.outbox import OutboxStore
from penguind.store.parameters import ParameterStore
from penguind.store.ratchets import RatchetStore
from penguind.store.retention import OldThings
from penguind.store.role_ranges import RoleRangeStore
from penguind.store.rollouts import RolloutStore
from penguind.store.states import StateStore
from penguind.store.successions import SuccessionStore
from penguind.store.tokens import TokenStore
from penguind.store.trail import TrailStore
from penguind.store.transcripts import TranscriptStore
from penguind.store.trust import TrustStore
from penguind.store.trust_proposals import TrustProposalStore
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from penguind.store.database import Database


@dataclass(frozen=True, slots=True)
class Stores:
    """One object for each collection."""

    blobs: BlobStore
    devices: DeviceStore
    history: HistoryStore
    invitations: InvitationStore
    issues: IssueStore
    ledger: LedgerStore
    meta: MetaStore
    old_things: OldThings
    operators: OperatorStore
    order_output: OrderOutputStore
    order_targets: OrderTargetStore
    orders: OrderStore
    outbox: OutboxStore
    parameters: ParameterStore
    ratchets: RatchetStore
    role_ranges: RoleRangeStore
    rollouts: RolloutStore
    states: StateStore
    successions: SuccessionStore
    tokens: TokenStore
    trail: TrailStore
    transcripts: TranscriptStore
    trust: TrustStore
    trust_proposals: TrustProposalStore


async def open_stores(database: Database, fleet_id: str) -> Stores:
    """Return the collections with their indexes, in a database of this fleet.

    Raises:
        PreconditionFailed: the database belongs to another fleet, or is being restored.
    """
    if await is_marked(database):
        raise PreconditionFailed(
            "a restore into this database has not ended",
            code="restore-unfinished",
            subject=database.db.name,
            remedy="run the same penguind restore again, which ends it",
        )
    return await prepare_stores(database, fleet_id)


async def prepare_stores(database: Database, fleet_id: str) -> Stores:
    """Do what `open_stores` does, also in a database that is being restored.

    Raises:
        PreconditionFailed: the database belongs to another fleet.
    """
    stores = _stores(database)
    await stores.meta.bind(fleet_id)
    await _prepare(stores)
    return stores


async def missing_indexes(database: Database) -> list[str]:
    """Return the indexes that there should be and are not, in words."""
    listener = Listener()
    await _prepare(_stores(cast("Database", listener)))
    return await missing_of(database, listener.wanted)


async def _prepare(stores: Stores) -> None:
    for field in fields(stores):
        await getattr(stores, field.name).prepare()


def _stores(database: Database) -> Stores:
    return Stores(
        blobs=BlobStore(database),
        devices=DeviceStore(database),
        history=HistoryStore(database),
        invitations=InvitationStore(database),
        issues=IssueStore(database),
        ledger=LedgerStore(database),
        meta=MetaStore(database),
        operators=OperatorStore(database),
        order_output=OrderOutputStore(database),
        order_targets=OrderTargetStore(database),
        orders=OrderStore(database),
        outbox=OutboxStore(database),
        old_things=OldThings(database),
        parameters=ParameterStore(database),
        ratchets=RatchetStore(database),
        role_ranges=RoleRangeStore(database),
        rollouts=RolloutStore(database),
        states=StateStore(database),
        successions=SuccessionStore(database),
        tokens=TokenStore(database),
        trail=TrailStore(database),
        transcripts=TranscriptStore(database),
        trust=TrustStore(database),
        trust_proposals=TrustProposalStore(database),
    )
