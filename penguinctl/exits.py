"""Exit codes: what a script may conclude from how a command ended."""

from __future__ import annotations

from penguindome import errors

OK = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
NOT_PERMITTED = 4
UNREACHABLE = 5
CONFLICT = 6
NOT_VERIFIED = 7
WAITING = 8
INTERRUPTED = 130

_BY_CLASS: tuple[tuple[type[errors.PenguinDomeError], int], ...] = (
    (errors.InvalidInput, USAGE),
    (errors.NotFound, NOT_FOUND),
    (errors.Unauthenticated, NOT_PERMITTED),
    (errors.Forbidden, NOT_PERMITTED),
    (errors.Unavailable, UNREACHABLE),
    (errors.AlreadyExists, CONFLICT),
    (errors.PreconditionFailed, CONFLICT),
    (errors.Damaged, NOT_VERIFIED),
)


def exit_code(error: errors.PenguinDomeError) -> int:
    """Return the documented exit code for an error."""
    for cls, code in _BY_CLASS:
        if isinstance(error, cls):
            return code
    return FAILED


class NotVerified(errors.Damaged):
    """Something that had to prove itself did not: a certificate, a signature, a chain."""

    default_code = "not-verified"
