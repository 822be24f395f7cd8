"""Put remote shells together, from what the agent has."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguin_agent.backoff import Backoff
from penguin_agent.clock import boottime
from penguin_agent.orders.launch import (
    Launch,
    account_of,
    base_environment,
    starts_units,
    unit_words,
)
from penguin_agent.shell.act import ShellAct, ShellParts
from penguin_agent.shell.consents import Consents
from penguin_agent.shell.notices import Notices
from penguin_agent.shell.open_sessions import OpenSessions
from penguin_agent.shell.uploads import Uploads
from penguin_agent.shell.wire import LinkPieces

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguin_agent.agent import Agent


@dataclass(frozen=True, slots=True)
class Shells:
    """The parts that the agent runs and asks; the uploads' `run` has to run."""

    act: ShellAct
    sessions: OpenSessions
    uploads: Uploads

    def answer(self, request: Any) -> dict[str, Any]:
        """Answer whoever is asked for consent; for the control socket."""
        order_id = str(request.get("id") or "")
        question = self.sessions.consents.answer(order_id, agreed=bool(request.get("agreed")))
        return {"operator": question.operator, "user": question.user}

    def end(self, request: Any) -> int:
        """End a session, or all; for the control socket."""
        return self.sessions.end(
            str(request.get("id") or ""), "root on the device ended it", "killed"
        )


def make_shells(agent: Agent) -> Shells:
    """Return what acts on shell orders."""
    base = agent.base
    settings = base.settings.shell
    state_dir = base.settings.paths.state_dir
    sessions = OpenSessions(Consents())
    uploads = Uploads(state_dir / "recordings", LinkPieces(agent.link), Backoff(random.uniform))
    notices = Notices(settings.notify_desktop, settings.notify_wall, launch=notice_words)
    parts = ShellParts(
        settings=settings,
        folder=state_dir / "sessions",
        identity=lambda: base.identities.known or agent.identity,
        link=agent.link,
        sessions=sessions,
        uploads=uploads,
        notices=notices,
        clock=base.clock.now,
        steady=boottime,
        launch=holder_words,
    )
    return Shells(ShellAct(parts), sessions, uploads)


def holder_words(order_id: str, holder: Sequence[str]) -> Sequence[str]:
    """Return words that start a session's holder in a unit of its own, where that is possible."""
    return _unconfined(f"penguin-shell-{order_id}", holder, 24 * 3600)


def notice_words(words: Sequence[str]) -> Sequence[str]:
    """Return words that tell somebody, outside of the agent's own limits where that is possible."""
    return _unconfined("", words, 60)


def _unconfined(unit: str, words: Sequence[str], seconds: int) -> Sequence[str]:
    if not starts_units():
        return words
    account = account_of("root")
    launch = Launch(
        unit=unit or f"penguin-notice-{random.getrandbits(48):012x}",
        description="PenguinDome remote session",
        argv=tuple(words),
        environment=base_environment(account),
        account=account,
        longest_seconds=seconds,
    )
    return unit_words(launch)
