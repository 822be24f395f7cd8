"""Turn the database driver's errors into ours, at the edge of the store."""

from __future__ import annotations

import functools
import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from bson.errors import BSONError
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    DocumentTooLarge,
    ExecutionTimeout,
    InvalidOperation,
    OperationFailure,
    PyMongoError,
    WTimeoutError,
)

from penguindome.errors import InternalError, InvalidInput, PreconditionFailed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping

Store = TypeVar("Store")

_RETRY_AFTER_SECONDS = 10
_AWAY = (AutoReconnect, ConnectionFailure, ExecutionTimeout, WTimeoutError)
_TOO_LARGE_CODES = frozenset({10334, 17419, 17420})
_DUPLICATE_CODE = 11000
_AUTHENTICATION_CODES = frozenset({13, 18})
# Source: MongoDB's error_codes.yml, OutOfDiskSpace; WiredTiger only repeats strerror(ENOSPC).
_DISK_CODE = 14031
_DISK_WORDS = "No space left on device"


def translated(store: type[Store]) -> type[Store]:
    """Make the public coroutines of a store class raise our errors only.

    Those that take a session are left alone: they run inside `Database.transaction`, which has to
    see the driver's own errors to know what may be repeated.
    """
    for name, method in vars(store).items():
        if name.startswith("_") or not inspect.iscoroutinefunction(method):
            continue
        if "session" not in inspect.signature(method).parameters:
            setattr(store, name, _translating(method))
    return store


def _translating(method: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def call(*args: Any, **kwargs: Any) -> Any:
        with database_errors():
            return await method(*args, **kwargs)

    return call


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn the driver's errors into ours.

    Raises:
        Unavailable: the database is away, elects a primary, or has no room on its disk.
        InvalidInput: a document is too large, holds what BSON cannot, or takes an id twice.
        PreconditionFailed: our login is refused.
        InternalError: anything else, which is a bug of ours.
    """
    try:
        yield
    except (BSONError, DocumentTooLarge, OverflowError, UnicodeError) as error:
        raise InvalidInput(f"the database cannot hold this: {error}"[:300]) from error
    except PyMongoError as error:
        raise _translated(error) from error


def _translated(error: PyMongoError) -> Unavailable | InvalidInput | PreconditionFailed | Exception:
    code = _code(error)
    if code in _AUTHENTICATION_CODES:
        return PreconditionFailed(
            "the database refuses our login",
            subject="database",
            remedy="check database.username, database.password_file and the user's roles",
        )
    if code == _DUPLICATE_CODE:
        return InvalidInput("this was stored before under the same id", code="used-id")
    if code in _TOO_LARGE_CODES:
        return InvalidInput("this is too large for the database")
    if code == _DISK_CODE or _DISK_WORDS in _words(error):
        return Unavailable(
            "the database's disk is full",
            subject="database",
            remedy="make room on it",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        )
    # A client that is closing answers InvalidOperation; a moment later somebody else serves.
    if _is_away(error) or isinstance(error, InvalidOperation):
        return Unavailable(
            "the database does not answer",
            subject="database",
            remedy="try again; if it stays away, look at the server's log",
            retry_after_seconds=_RETRY_AFTER_SECONDS,
        )
    return InternalError(f"the database refused an operation: {_words(error)}"[:500])


def _is_away(error: PyMongoError) -> bool:
    labels = ("TransientTransactionError", "UnknownTransactionCommitResult", "RetryableWriteError")
    return (
        isinstance(error, _AWAY)
        or error.timeout
        or any(error.has_error_label(label) for label in labels)
    )


def _code(error: PyMongoError) -> int | None:
    code = _failure(error).get("code")
    return code if isinstance(code, int) else None


def _words(error: PyMongoError) -> str:
    """Return what the server said; the driver's own text repeats whole documents of ours."""
    failure = _failure(error)
    return f"{failure.get('errmsg', type(error).__name__)} ({failure.get('code', 'no code')})"


def _failure(error: PyMongoError) -> Mapping[str, Any]:
    """Return the server's answer that an error is about, empty if there is none."""
    details = (error.details or {}) if isinstance(error, OperationFailure) else {}
    if isinstance(error, BulkWriteError):
        found = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
        return found[0] if found else {}
    return {"code": error.code, **details} if isinstance(error, OperationFailure) else {}
