"""Say what went wrong in words that a person can act on: one class per status code.

The classes know nothing of gRPC; `error_wire` carries them over it.
"""

from __future__ import annotations


class PenguinDomeError(Exception):
    """Be the root of all errors that are ours.

    Attributes:
        reason: What was wrong, one sentence without a full stop.
        code: Stable, for machines, e.g. `token-expired`.
        subject: The thing it is about, e.g. a device id; may be empty.
        remedy: What the reader can do about it; may be empty.
        retry_after_seconds: When a repeat makes sense; 0 where a repeat does not help.
    """

    default_code = "internal"

    def __init__(
        self,
        reason: str,
        *,
        code: str = "",
        subject: str = "",
        remedy: str = "",
        retry_after_seconds: int = 0,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code or self.default_code
        self.subject = subject
        self.remedy = remedy
        self.retry_after_seconds = retry_after_seconds

    def __str__(self) -> str:
        """Return reason and remedy as one line."""
        reason = self.reason.rstrip(".")
        return f"{reason}. {self.remedy}" if self.remedy else reason

    def __repr__(self) -> str:
        """Return class, code and reason."""
        return f"{type(self).__name__}({self.reason!r}, code={self.code!r})"

    def text(self) -> str:
        """Return `subject: reason — remedy`, for people."""
        head = f"{self.subject}: " if self.subject else ""
        tail = f" — {self.remedy}" if self.remedy else ""
        return f"{head}{self.reason.rstrip('.') if tail else self.reason}{tail}"


class InvalidInput(PenguinDomeError):  # noqa: N818 -- every name here is an error's, the suffix adds nothing
    """Refuse a value that no state of the world could make right."""

    default_code = "invalid-input"


class NotFound(PenguinDomeError):  # noqa: N818 -- as above
    """Say that the named thing does not exist."""

    default_code = "not-found"


class AlreadyExists(PenguinDomeError):  # noqa: N818 -- as above
    """Say that the thing to be made exists already."""

    default_code = "already-exists"


class PreconditionFailed(PenguinDomeError):  # noqa: N818 -- as above
    """Refuse an act that is right only in another state."""

    default_code = "precondition-failed"


class Unauthenticated(PenguinDomeError):  # noqa: N818 -- as above
    """Say that the caller did not prove who they are."""

    default_code = "unauthenticated"


class Forbidden(PenguinDomeError):  # noqa: N818 -- as above
    """Refuse what this caller, or these signatures, may not do."""

    default_code = "forbidden"


class LimitExceeded(PenguinDomeError):  # noqa: N818 -- as above
    """Say that a quota, a size or a disk is full."""

    default_code = "limit-exceeded"


class Unavailable(PenguinDomeError):  # noqa: N818 -- as above
    """Say that the other side cannot be reached or is not ready: try again."""

    default_code = "unavailable"


class NotSupported(PenguinDomeError):  # noqa: N818 -- as above
    """Say that this program or version cannot do it."""

    default_code = "not-supported"


class Damaged(PenguinDomeError):  # noqa: N818 -- as above
    """Say that stored data contradicts itself."""

    default_code = "damaged"


class InternalError(PenguinDomeError):
    """Report a bug of ours."""

    default_code = "internal"
