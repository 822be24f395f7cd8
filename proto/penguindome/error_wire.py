"""Carry our errors over gRPC, and make ours of what comes back.

Trust: a status may come from any peer or from gRPC itself; texts are cut, never interpreted, and
escaped by whoever shows them.
"""

from __future__ import annotations

import re
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from penguindome import errors
from penguindome.v1 import error_pb2

DETAIL_KEY = "penguindome-error-bin"
TEXT_LIMIT = 1024
# How gRPC and BoringSSL word what went wrong with a server's certificate, 1.51 to 1.80.
_WRONG_DATES = ("certificate has expired", "certificate is not yet valid")
_NOT_VERIFIED = ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "Hostname Verif")
_NO_NAME = ("DNS", "errors resolving")
# What a call says of itself whose connection broke while it wrote, before it heard why.
_BROKE = "Internal error from Core"
_CAUSE = re.compile(r"remote host: (?:connect: )?([A-Za-z][A-Za-z ]*[a-z])")

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
        return _unreachable(kind, text)
    if status is grpc.StatusCode.DEADLINE_EXCEEDED:
        return kind("the server did not answer in time", code="timeout", remedy="Try again")
    if status is grpc.StatusCode.CANCELLED:
        return kind("the call was cancelled", code="cancelled")
    if status is grpc.StatusCode.INTERNAL and text.startswith(_BROKE):
        return errors.Unavailable(
            "the connection to the server broke", code="connection-broken", remedy="Try again"
        )
    return kind(text or f"the call failed with {status.name}")


def _unreachable(kind: type[errors.PenguinDomeError], text: str) -> errors.PenguinDomeError:
    """Say why no connection came about; gRPC wraps the one useful word in many."""
    if any(words in text for words in _WRONG_DATES):
        return kind(
            "the server's certificate is not valid at this machine's time",
            code="server-certificate-dates",
            remedy="Check this machine's clock (timedatectl); if it is right, the server's"
            " certificate has to be renewed (penguind setup)",
        )
    if any(words in text for words in _NOT_VERIFIED):
        return kind(
            "whoever answers there is not our server: its certificate does not verify",
            code="server-not-verified",
            remedy="Nothing was sent; check the address, the network between and this machine's"
            " clock (timedatectl)",
        )
    found = _CAUSE.search(text)
    cause = (
        "its name cannot be resolved" if text.startswith(_NO_NAME) else (found and found[1]) or text
    )
    return kind(
        f"the server cannot be reached ({cause})" if cause else "the server cannot be reached",
        code="unreachable",
        remedy="Check host, port, network and firewall, and that penguind runs",
    )


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
