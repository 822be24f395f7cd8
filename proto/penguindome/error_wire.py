"""Carry our errors over gRPC, and make ours of what comes back.

Trust: a status may come from any peer or from gRPC itself; texts are cut, never interpreted, and
escaped by whoever shows them.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message import DecodeError

from penguindome import errors
from penguindome.v1 import error_pb2

DETAIL_KEY = "penguindome-error-bin"
TEXT_LIMIT = 1024

_STATUS: dict[type[errors.PenguinDomeError], grpc.StatusCode] = {
    errors.InvalidInput: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.PreconditionFailed: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.Forbidden: grpc.StatusCode.PERMISSION_DENIED,
    errors.LimitExceeded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.NotSupported: grpc.StatusCode.UNIMPLEMENTED,
    errors.Damaged: grpc.StatusCode.DATA_LOSS,
    errors.InternalError: grpc.StatusCode.INTERNAL,
}
_CLASS: dict[grpc.StatusCode, type[errors.PenguinDomeError]] = {
    **{status: kind for kind, status in _STATUS.items()},
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidInput,
    grpc.StatusCode.ABORTED: errors.PreconditionFailed,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.Unavailable,
    grpc.StatusCode.CANCELLED: errors.Unavailable,
}


def to_status(
    error: errors.PenguinDomeError,
) -> tuple[grpc.StatusCode, str, tuple[tuple[str, bytes], ...]]:
    """Return the status, its message and the trailing metadata that carry an error."""
    detail = error_pb2.ErrorDetail(
        code=_cut(error.code),
        subject=_cut(error.subject),
        reason=_cut(error.reason),
        remedy=_cut(error.remedy),
        retry_after_seconds=min(max(error.retry_after_seconds, 0), 2**32 - 1),
    )
    trailing = ((DETAIL_KEY, detail.SerializeToString()),)
    return _status_of(type(error)), _cut(str(error)), trailing


def from_rpc_error(exc: grpc.RpcError) -> errors.PenguinDomeError:
    """Return our error for a failed call, whoever failed it; never raise."""
    status = _ask(exc, "code")
    if not isinstance(status, grpc.StatusCode):
        status = grpc.StatusCode.UNKNOWN
    kind = _CLASS.get(status, errors.InternalError)
    detail = _detail(exc)
    if detail is not None:
        return kind(
            _cut(detail.reason) or "the other side gave no reason",
            code=_cut(detail.code),
            subject=_cut(detail.subject),
            remedy=_cut(detail.remedy),
            retry_after_seconds=detail.retry_after_seconds,
        )
    return _foreign(kind, status, _cut(str(_ask(exc, "details") or "")))


def _foreign(
    kind: type[errors.PenguinDomeError], status: grpc.StatusCode, text: str
) -> errors.PenguinDomeError:
    """Make an error of a status that no program of ours wrote."""
    if status is grpc.StatusCode.UNAVAILABLE:
        return kind(
            f"the server cannot be reached ({text})" if text else "the server cannot be reached",
            code="unreachable",
            remedy="Check host, port and network; a refused certificate looks the same from here",
        )
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return kind("the server did not answer in time", code="timeout", remedy="Try again")
    if status is grpc.StatusCode.CANCELLED:
        return kind("the call was cancelled", code="cancelled")
    return kind(text or f"the call failed with {status.name}")


def _status_of(kind: type[errors.PenguinDomeError]) -> grpc.StatusCode:
    for base in kind.__mro__:
        if base in _STATUS:
            return _STATUS[base]
    return grpc.StatusCode.INTERNAL


def _detail(exc: grpc.RpcError) -> error_pb2.ErrorDetail | None:
    for key, value in _ask(exc, "trailing_metadata") or ():
        if key == DETAIL_KEY and isinstance(value, bytes):
            try:
                return error_pb2.ErrorDetail.FromString(value)
            # Older protobuf warns about some malformed bytes instead.
            except (DecodeError, RuntimeWarning):
                return None
    return None


def _ask(exc: grpc.RpcError, name: str) -> Any:
    method = getattr(exc, name, None)
    return method() if callable(method) else None


def _cut(text: str) -> str:
    """Bound a text and make it encodable."""
    return text[:TEXT_LIMIT].encode("utf-8", "replace").decode()
