"""Why an operator did something, as it is kept."""

from __future__ import annotations

from penguindome.display import printable
from penguindome.errors import InvalidInput

MAX_REASON_LENGTH = 1000


def checked_reason(text: str) -> str:
    """Return an operator's reason without what could disturb its readers.

    Raises:
        InvalidInput: it is too long.
    """
    reason = printable(text.strip())
    if len(reason) > MAX_REASON_LENGTH:
        raise InvalidInput(f"the reason has more than {MAX_REASON_LENGTH} characters")
    return reason
