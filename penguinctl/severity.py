"""How severities and states look."""

from __future__ import annotations

from penguinctl.ui import Styled

_STYLES = {
    "critical": "red",
    "high": "red",
    "medium": "yellow",
    "low": "dim",
    "active": "green",
    "pending": "yellow",
    "revoked": "dim",
    "closed": "dim",
}


def styled(word: str) -> Styled:
    """Return a severity or a state in its colour."""
    return Styled(word, _STYLES.get(word, ""))
