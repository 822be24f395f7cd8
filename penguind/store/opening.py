"""Say why a database could not be opened, where only its administrator can mend it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pymongo
from pymongo.errors import ConfigurationError, PyMongoError

from penguind.store.translation import database_errors
from penguindome.errors import InvalidInput, PenguinDomeError, PreconditionFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pymongo import AsyncMongoClient
    from pymongo.server_description import ServerDescription

# An election takes a dozen; whoever waits at a terminal, or systemd, shall not wait much longer.
_OPENING_SECONDS = 15
_SUBJECT = "database"


@contextmanager
def opening_errors(client: AsyncMongoClient[dict[str, Any]]) -> Iterator[None]:
    """Limit how long opening takes, and turn its failures into ours, with reason and remedy.

    Raises:
        PreconditionFailed: too old, of no such set, a certificate or login that is not accepted.
        Unavailable: nobody answers.
    """
    try:
        with database_errors(), pymongo.timeout(_OPENING_SECONDS):
            yield
    except PenguinDomeError as error:
        if isinstance(error.__cause__, ConfigurationError):
            raise _unusable(error.__cause__) from error
        if isinstance(error, Unavailable):
            raise _diagnosed(client, error.__cause__) from error
        raise


def too_old() -> PreconditionFailed:
    """Return the refusal of a server below 6.0."""
    return PreconditionFailed(
        "this MongoDB is too old", subject=_SUBJECT, remedy="use MongoDB 6.0 or newer"
    )


def no_set() -> PreconditionFailed:
    """Return the refusal of a standalone server."""
    return PreconditionFailed(
        "this MongoDB is not a replica set, so it has no transactions and may lose writes",
        subject=_SUBJECT,
        remedy="make it a replica set (one member is enough), or leave database.uri empty",
    )


def _unusable(error: ConfigurationError) -> PenguinDomeError:
    # The driver itself refuses what is older than it knows.
    return too_old() if "wire version" in str(error) else bad_address(error)


def bad_address(error: Exception) -> InvalidInput:
    """Return the refusal of an address that is none, or whose name leads nowhere."""
    return InvalidInput(
        f"the database's address is not usable: {str(error)[:300]}",
        subject="database.uri",
        remedy="mongodb://HOST[:PORT],…/?replicaSet=NAME",
    )


def _diagnosed(
    client: AsyncMongoClient[dict[str, Any]], cause: BaseException | None
) -> PenguinDomeError:
    """Return what the driver last saw of the servers."""
    topology = client.topology_description
    servers = topology.server_descriptions().values()
    if not servers or any(server.server_type_name == "RSGhost" for server in servers):
        name = topology.replica_set_name
        if name is None:
            return no_set()
        return PreconditionFailed(
            f"this MongoDB is no member of a replica set named {name!r}",
            subject=_SUBJECT,
            remedy="correct database.replica_set, or make it a replica set (one member is enough)",
        )
    reason = next(filter(None, map(_reason, servers)), "") or _plain(cause)
    if "CERTIFICATE" in reason or "certificate" in reason or "mismatch" in reason:
        return PreconditionFailed(
            f"the database's certificate is not accepted: {reason}",
            subject=_SUBJECT,
            remedy="set database.tls_ca_file to the authority that issued it, and use a name in "
            "database.uri that the certificate holds",
        )
    return Unavailable(
        f"the database does not answer: {reason}",
        subject=_SUBJECT,
        remedy="start it, open its port, or correct database.uri; if it wants TLS, set "
        "database.tls_ca_file",
    )


def _reason(server: ServerDescription) -> str:
    return _plain(server.error) if server.error is not None else ""


def _plain(error: BaseException | None) -> str:
    """Return what an error says, without the driver's own settings."""
    text = str(error) if isinstance(error, PyMongoError | OSError) else "no answer"
    return text.partition(" (configured timeouts")[0].partition(", Timeout: ")[0][:300]
