"""Open the database with our guarantees.

Whatever a URI says, writes are acknowledged by a journaled majority and reads see only what a
majority holds: an acknowledged report must survive the loss of any one machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import pymongo
from bson.codec_options import CodecOptions
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import ConfigurationError

from penguind.store.opening import bad_address, no_set, opening_errors, too_old
from penguind.store.translation import database_errors
from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path
    from typing import Self

    from pymongo.asynchronous.database import AsyncDatabase

Document = dict[str, Any]
Session = AsyncClientSession
Result = TypeVar("Result")

# MongoDB 6.0: https://github.com/mongodb/specifications, wire version table.
_OLDEST_WIRE_VERSION = 17
_SELECTION_MILLISECONDS = 30_000
_SOCKET_MILLISECONDS = 60_000
_GOODBYE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Database:
    """An open database.

    Attributes:
        client: the connection pool; close it through `close`.
        db: the database with our read and write concerns.
    """

    client: AsyncMongoClient[Document]
    db: AsyncDatabase[Document]

    async def __aenter__(self) -> Self:
        """Return the database; the end of the block closes it."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        # A server that hangs would be asked for half a minute to forget our sessions.
        with pymongo.timeout(_GOODBYE_SECONDS):
            await self.client.close()

    async def transaction(
        self, work: Callable[[Session], Awaitable[Result]], *, seconds: float
    ) -> Result:
        """Run `work` in a transaction, again from the start after a transient error.

        Args:
            work: gets the session that it must pass to every operation.
            seconds: when to give up.

        Raises:
            Unavailable: the database is away; whether the work was committed is then unknown.
            InvalidInput: a document is too large, or is none.
        """
        with database_errors(), pymongo.timeout(seconds):
            async with self.client.start_session() as session:
                return await session.with_transaction(work)


async def open_database(
    uri: str,
    name: str,
    *,
    username: str = "",
    password: str = "",
    tls_ca: Path | None = None,
    replica_set: str = "",
    selection_milliseconds: int = _SELECTION_MILLISECONDS,
    socket_milliseconds: int = _SOCKET_MILLISECONDS,
) -> Database:
    """Connect, and refuse a server that cannot keep our promises.

    Args:
        uri: `mongodb://…` or `mongodb+srv://…`.
        name: the database's name.
        username: empty for what the URI says.
        password: belongs to `username`.
        tls_ca: the authority of the server's certificate, which switches TLS on.
        replica_set: its name; empty for what the URI says.
        selection_milliseconds: how long to look for a primary.
        socket_milliseconds: how long to wait for an answer; a server that hangs shall look like one
            that is away.

    Raises:
        InvalidInput: the URI is none.
        PreconditionFailed: too old, no replica set, or the login is refused.
        Unavailable: nobody answers.
    """
    options: dict[str, Any] = {"username": username, "password": password} if username else {}
    if tls_ca is not None:
        options |= {"tls": True, "tlsCAFile": str(tls_ca)}
    if replica_set:
        options["replicaSet"] = replica_set
    options["serverSelectionTimeoutMS"] = selection_milliseconds
    client = _client(uri, socketTimeoutMS=socket_milliseconds, **options)
    try:
        with opening_errors(client):
            _check_server(await client.admin.command("hello"))
            await client[name].command("ping")
    except BaseException:
        await client.close()
        raise
    db = client.get_database(
        name,
        codec_options=CodecOptions(tz_aware=True),
        read_preference=ReadPreference.PRIMARY,
        write_concern=pymongo.WriteConcern(w="majority", j=True),
    )
    return Database(client=client, db=db)


def _client(uri: str, **options: Any) -> AsyncMongoClient[Document]:
    try:
        return AsyncMongoClient(
            uri,
            appname="penguind",
            w="majority",
            journal=True,
            readConcernLevel="majority",
            retryWrites=True,
            retryReads=True,
            tz_aware=True,
            uuidRepresentation="standard",
            **options,
        )
    except OSError as error:
        raise InvalidInput(
            f"cannot be used as an authority: {error.strerror or error}",
            subject=str(options.get("tlsCAFile", "database.uri")),
            remedy="set database.tls_ca_file to the PEM file of the authority of MongoDB's "
            "certificate, readable for the server's user",
        ) from None
    except (ConfigurationError, ValueError, TypeError) as error:
        raise bad_address(error) from None


def _check_server(hello: Mapping[str, Any]) -> None:
    if hello.get("maxWireVersion", 0) < _OLDEST_WIRE_VERSION:
        raise too_old()
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        raise no_set()
