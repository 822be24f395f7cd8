"""What is done on the server itself, by whoever may read its files: inviting operators."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from penguind.identity.authority import load_anchor
from penguind.identity.invitations import Invitations, check_invitation
from penguind.identity.trust import Trust
from penguind.ledger import Ledger
from penguind.mongod.child import Mongod, socket_uri
from penguind.store.all import open_stores
from penguind.store.database import open_database
from penguindome import certs
from penguindome.durable import read_file
from penguindome.errors import NotFound, PreconditionFailed, Unavailable
from penguindome.tokens import Invitation, encode_invitation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import timedelta

    from penguind.config import DatabaseSettings, Settings
    from penguind.domain.operator import Operator
    from penguind.store.all import Stores
    from penguind.store.database import Database
    from penguindome.times import Clock

# A socket whose mongod was killed answers at once that nobody listens.
_SELECTION_MILLISECONDS = 1500
CONSOLE = "console"


@asynccontextmanager
async def console_database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database of the running server, or one of our own while none runs."""
    if not settings.database.embedded:
        database: Database | None = await open_external(settings.database)
    else:
        database = await _running(settings)
    if database is not None:
        async with database:
            yield database
        return
    mongod = Mongod(settings.server.state_dir)
    uri = await mongod.start()
    try:
        async with await open_database(uri, settings.database.name) as database:
            yield database
    finally:
        await mongod.stop()


async def open_external(settings: DatabaseSettings) -> Database:
    """Connect to the MongoDB that the settings name.

    Raises:
        InvalidInput, PreconditionFailed, Unavailable: as `open_database`.
    """
    password = ""
    if settings.password_file is not None:
        password = (
            read_file(settings.password_file.resolve()).decode().partition("\n")[0].strip("\r")
        )
    return await open_database(
        database_uri(settings),
        settings.name,
        username=settings.username,
        password=password,
        tls_ca=settings.tls_ca_file,
        replica_set=settings.replica_set,
    )


def database_uri(settings: DatabaseSettings) -> str:
    """Return the address with the replica set's name, where that is set apart."""
    if not settings.replica_set or "replicaset=" in settings.uri.lower():
        return settings.uri
    scheme, _, rest = settings.uri.partition("://")
    hosts, _, path = rest.partition("/")
    separator = "&" if "?" in path else "?"
    return f"{scheme}://{hosts}/{path}{separator}replicaSet={quote(settings.replica_set)}"


async def _running(settings: Settings) -> Database | None:
    try:
        uri = socket_uri(settings.server.state_dir)
        return await open_database(
            uri, settings.database.name, selection_milliseconds=_SELECTION_MILLISECONDS
        )
    except (PreconditionFailed, Unavailable):
        return None


async def invite(
    settings: Settings, name: str, roles: Sequence[str], ttl: timedelta, clock: Clock
) -> str:
    """Make an invitation on the server and return its line.

    Raises:
        InvalidInput: the name or a role is none.
    """
    async with console_database(settings) as database:
        stores = await open_stores(database, settings.server.fleet_id)
        return await make_line(settings, stores, name, roles=roles, ttl=ttl, clock=clock)


async def list_operators(settings: Settings) -> list[Operator]:
    """Return all operators, by name."""
    async with console_database(settings) as database:
        stores = await open_stores(database, settings.server.fleet_id)
        return await stores.operators.all()


async def revoke_operator(settings: Settings, name: str, clock: Clock) -> None:
    """End an operator's identity; a running server notices within two seconds.

    Raises:
        NotFound: there is no such operator.
    """
    async with console_database(settings) as database:
        stores = await open_stores(database, settings.server.fleet_id)
        invited = {one.name for one in await stores.invitations.open(clock())}
        if await stores.operators.get(name) is None and name not in invited:
            raise NotFound("there is no such operator", subject=name[:64])
        await Ledger(stores.ledger, clock).append(CONSOLE, "operator.revoke", name, {})
        # First: an invitation that is redeemed meanwhile must not outlive this.
        await stores.invitations.withdraw(name)
        await stores.operators.revoke(name)


async def show_ranges(settings: Settings, role: str) -> tuple[str, ...]:
    """Return the networks that a role is limited to; none means no limit."""
    async with console_database(settings) as database:
        stores = await open_stores(database, settings.server.fleet_id)
        return (await stores.role_ranges.all()).get(role, ())


async def clear_ranges(settings: Settings, role: str, clock: Clock) -> None:
    """Lift a role's limit to networks; a running server notices within two seconds."""
    async with console_database(settings) as database:
        stores = await open_stores(database, settings.server.fleet_id)
        await Ledger(stores.ledger, clock).append(CONSOLE, "operator.ranges", role, {"ranges": []})
        await stores.role_ranges.put(role, ())


async def make_line(
    settings: Settings,
    stores: Stores,
    name: str,
    *,
    roles: Sequence[str],
    ttl: timedelta,
    clock: Clock,
) -> str:
    """Store an invitation and return its line, which carries anchor and trust hash."""
    check_invitation(name, roles, ttl)
    details = {"roles": sorted(set(roles))}
    await Ledger(stores.ledger, clock).append(CONSOLE, "operator.invite", name, details)
    invitations = Invitations(stores.invitations, clock)
    invitation_id, secret, _ = await invitations.create(name, roles, ttl, CONSOLE)
    trust = Trust(stores.trust, settings.server.fleet_id, clock)
    return encode_invitation(
        Invitation(
            anchor=certs.pem_to_der(load_anchor(settings.server.state_dir)),
            fleet=settings.server.fleet_id,
            invitation_id=invitation_id,
            secret=secret,
            host=settings.advertised.host,
            main_port=settings.advertised.main_port,
            bootstrap_port=settings.advertised.bootstrap_port,
            operator_name=name,
            trust_hash=await trust.hash(),
        )
    )
