"""The one interceptor: authenticate, authorise, write the ledger, call, map errors, log.

Everything that every RPC needs happens here and nowhere else. An error of ours becomes a status
and an ErrorDetail; anything unexpected becomes INTERNAL without details, logged once.
"""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import grpc
import grpc.aio

from penguind.access import Row, permit
from penguind.caller import Caller, enter
from penguind.peers import peer_address, throttle_key
from penguind.until_ended import pass_on
from penguindome.error_wire import to_status
from penguindome.errors import InternalError, LimitExceeded, PenguinDomeError, Unavailable
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from penguind.identity.guard import Guard
    from penguind.identity.identities import Identities
    from penguind.identity.ranges import RoleRanges
    from penguind.ledger import Ledger
    from penguind.throttle import Throttle

    Called = Callable[[str, str, float | None], None]

log = logger("penguind.gate")

# Where a handler has its method, and what wraps it, by streaming requests and answers.
_SHAPES = {
    (False, False): ("unary_unary", grpc.unary_unary_rpc_method_handler),
    (False, True): ("unary_stream", grpc.unary_stream_rpc_method_handler),
    (True, False): ("stream_unary", grpc.stream_unary_rpc_method_handler),
    (True, True): ("stream_stream", grpc.stream_stream_rpc_method_handler),
}
_TEXT_KEPT = 500
_ITEMS_KEPT = 1000
# Ids and hashes are repeated, whole documents are named by their hash.
_BYTES_KEPT = 32


class Gate(grpc.aio.ServerInterceptor):  # type: ignore[misc,unused-ignore]
    """What stands before each method of one listener.

    Args:
        kind: main or bootstrap.
        authenticate: returns the caller of a context or raises.
        name: the listener's, where there are several of the kind.
        identities: tell when a caller's identity ends.
        ledger: where acts are written.
        note: is told of each caller that may go on.
        called: is told of each call that ended: method, status, and seconds of one with one answer.
    """

    def __init__(
        self,
        kind: str,
        authenticate: Callable[[Any], Awaitable[Caller]],
        *,
        name: str = "",
        identities: Identities,
        ledger: Ledger,
        note: Callable[[Caller], None] = lambda _: None,
        called: Called = lambda _method, _code, _seconds: None,
    ) -> None:
        self._kind = kind
        self._name = name or kind
        self._authenticate = authenticate
        self._identities = identities
        self._ledger = ledger
        self._note = note
        self._called = called

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Return the method's handler with the gate around it; None for an unknown method."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        name, make = _SHAPES[handler.request_streaming, handler.response_streaming]
        inner = getattr(handler, name)
        return make(
            self._guarded(handler_call_details.method, inner, streams=handler.response_streaming),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )

    def _guarded(self, method: str, inner: Any, *, streams: bool) -> Any:
        async def guarded(request: Any, context: Any) -> Any:
            started, code = time.monotonic(), "CANCELLED"
            try:
                answer = await self._handle(method, inner, request, context)
            except (grpc.aio.AbortError, asyncio.CancelledError):
                raise
            except Exception as error:  # noqa: BLE001 -- the one place that answers for all errors
                code = _status_name(error)
                await self._refuse(method, context, error)
            else:
                code = "OK"
                log.debug("{} took {:.1f} ms", method, (time.monotonic() - started) * 1000)
                return answer
            finally:
                seconds = None if streams else time.monotonic() - started
                self._called(method, code, seconds)

        return guarded

    async def _handle(self, method: str, inner: Any, request: Any, context: Any) -> Any:
        who = replace(await self._authenticate(context), listener=self._name)
        row = permit(
            method,
            kind=who.kind,
            roles=who.roles,
            listener=self._kind,
            withheld=who.withheld,
        )
        enter(who)
        self._note(who)
        with self._identities.living(who):
            if not row.action:
                return await _call(inner, request, context)
            return await self._recorded(row, who, inner, request, context)

    async def _recorded(self, row: Row, who: Caller, inner: Any, request: Any, context: Any) -> Any:
        """Call with a ledger row before the act, and one after that tells what came of it."""
        target, details = _subject(row, request)
        await self._ledger.append(who.actor, row.action, target, details)
        log.info("{} did {} {}", who.actor, row.action, target)
        try:
            answer = await _call(inner, request, context)
        except PenguinDomeError as error:
            failure = {"code": error.code, "reason": error.reason[:_TEXT_KEPT]}
            await self._ledger.append(who.actor, f"{row.action}.failed", target, failure)
            raise
        except Exception:
            failure = {"code": "internal", "reason": "the server failed"}
            await self._ledger.append(who.actor, f"{row.action}.failed", target, failure)
            raise
        if row.made:
            made = _text(_field(answer, row.made))
            await self._ledger.append(who.actor, f"{row.action}.done", made, {})
        return answer

    async def _refuse(self, method: str, context: Any, error: Exception) -> None:
        if isinstance(error, PenguinDomeError) and not isinstance(error, InternalError):
            known = error
            # Whoever is cut off for calling too often must not fill the log instead, nor a fleet
            # that meets an outage, which the workers have told.
            quiet = isinstance(error, LimitExceeded | Unavailable)
            say = log.debug if quiet else log.info
            say("{} from {} refused: {}", method, context.peer(), known.text())
        else:
            known = InternalError("the server failed", remedy="its log says more; please report it")
            log.error("{} failed unexpectedly", method, exc_info=error)
        status, message, trailing = to_status(known)
        await context.abort(status, message, trailing)


def _status_name(error: Exception) -> str:
    known = error if isinstance(error, PenguinDomeError) else InternalError("")
    return str(to_status(known)[0].name)


async def _call(inner: Any, request: Any, context: Any) -> Any:
    if not inspect.isasyncgenfunction(inner):
        return await inner(request, context)
    await pass_on(inner(request, context), context.write)
    return None


def _subject(row: Row, request: Any) -> tuple[str, dict[str, Any]]:
    """Return what the ledger row repeats of a request, bounded."""
    target = _text(_field(request, row.target)) if row.target else ""
    details = {path.rpartition(".")[2]: _value(_field(request, path)) for path in row.details}
    return target, details


def _field(message: Any, path: str) -> Any:
    for name in path.split("."):
        message = getattr(message, name)
    return message


def _text(value: Any) -> str:
    """Return a field as one text."""
    known = _value(value)
    return _cut(" ".join(known) if isinstance(known, list) else str(known))


def _value(value: Any) -> Any:
    """Return a field as JSON, bounded; what is left out is said."""
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, bool | int):
        return value
    if isinstance(value, bytes):
        short = len(value) <= _BYTES_KEPT
        return value.hex() if short else f"sha256:{hashlib.sha256(value).hexdigest()}"
    items = [_cut(str(item)) for item in value[:_ITEMS_KEPT]]
    left_out = len(value) - len(items)
    return [*items, f"… and {left_out} more"] if left_out else items


def _cut(text: str) -> str:
    return text if len(text) <= _TEXT_KEPT else f"{text[: _TEXT_KEPT - 1]}…"


def certified(guard: Guard, ranges: RoleRanges) -> Callable[[Any], Awaitable[Caller]]:
    """Return how the main listener authenticates: by certificate, then by address."""

    async def authenticate(context: Any) -> Caller:
        who = await guard.authenticate(context.auth_context(), context.peer())
        return await ranges.limited(who)

    return authenticate


def throttled(
    throttle: Throttle, clock: Callable[[], datetime]
) -> Callable[[Any], Awaitable[Caller]]:
    """Return how the bootstrap listener takes callers: by address, so many a minute."""

    async def authenticate(context: Any) -> Caller:
        address = peer_address(context.peer())
        throttle.take(throttle_key(address), clock())
        name = "unknown" if address is None else str(address)
        return Caller(kind="applicant", name=name, roles=frozenset(), peer=context.peer())

    return authenticate
