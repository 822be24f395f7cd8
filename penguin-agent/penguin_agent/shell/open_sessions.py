"""The sessions that are open on this device, as its people may see and end them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguindome.errors import NotFound
from penguindome.times import to_iso

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from penguin_agent.shell.consents import Consents


@dataclass(frozen=True, slots=True)
class OpenSession:
    """One session; `end` takes the reason and its code."""

    order_id: str
    operator: str
    user: str
    purpose: str
    reason: str
    began_time: datetime
    end: Callable[[str, str], None]


class OpenSessions:
    """Sessions by the id of their order."""

    def __init__(self, consents: Consents) -> None:
        self.consents = consents
        self._open: dict[str, OpenSession] = {}

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def add(self, session: OpenSession) -> None:
        """Note that a session begins."""
        self._open[session.order_id] = session

    def remove(self, order_id: str) -> None:
        """Note that it ended."""
        self._open.pop(order_id, None)

    def end(self, order_id: str, reason: str, code: str) -> int:
        """End one session, or all without an id; returns how many.

        Raises:
            NotFound: There is no such session.
        """
        if order_id and order_id not in self._open:
            raise NotFound("there is no such session", subject=order_id)
        chosen = [self._open[order_id]] if order_id else list(self._open.values())
        for one in chosen:
            one.end(reason, code)
        return len(chosen)

    def words(self) -> dict[str, Any]:
        """Return what there is, for `penguin-agent sessions`."""
        return {
            "sessions": [
                {
                    "id": one.order_id,
                    "operator": one.operator,
                    "user": one.user,
                    "purpose": one.purpose,
                    "reason": one.reason,
                    "since": to_iso(one.began_time),
                }
                for one in self._open.values()
            ],
            "waiting_for_consent": [
                {"id": one.order_id, "operator": one.operator, "user": one.user,
                 "reason": one.reason}
                for one in self.consents.waiting()
            ],
        }  # fmt: skip
