"""Act on shell orders: check what the device permits, tell its people, run, record, end."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguin_agent.orders.acts import Outcome
from penguin_agent.orders.launched import end_marked
from penguin_agent.shell.consents import Question
from penguindome.errors import PenguinDomeError
from penguindome.orders.shell_body import ShellBody

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from penguin_agent.config_shell import ShellSettings
    from penguin_agent.identity import Identity
    from penguin_agent.link import Link
    from penguin_agent.orders.acts import Order, Progress
    from penguin_agent.shell.notices import Notices
    from penguin_agent.shell.open_sessions import OpenSessions
    from penguin_agent.shell.uploads import Uploads

# What a holder has for asking politely, and for killing, once its agent is gone.
_HOLDER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ShellParts:
    """What sessions need of the agent.

    Attributes:
        settings: What root permits.
        folder: Private; each session has a short one below it while it runs.
        identity: Returns who this device is.
        link: The connection to the server.
        sessions: Those that are open.
        uploads: Takes recordings.
        notices: Tell people.
        clock: The device's.
        steady: Seconds that never jump and count sleep.
        launch: Turns a session's id and the words of its holder into words that start it outside of
            the agent's own limits.
    """

    settings: ShellSettings
    folder: Path
    identity: Callable[[], Identity]
    link: Link
    sessions: OpenSessions
    uploads: Uploads
    notices: Notices
    clock: Callable[[], datetime]
    steady: Callable[[], float]
    launch: Callable[[str, Sequence[str]], Sequence[str]]


class ShellAct:
    """Acts on orders of the kind `shell`."""

    def __init__(self, parts: ShellParts) -> None:
        self._parts = parts

    async def run(self, order: Order, progress: Progress) -> Outcome:
        """Run one session; when it is called off it is ended like any other."""
        body = order.body
        if not isinstance(body, ShellBody):
            return Outcome("refused", "this is no session", "bad-payload")
        if refusal := self._refusal(body):
            return refusal
        if not await self._agreed(order, body):
            return Outcome("refused", "nobody at the device agreed", "no-consent")
        if refusal := self._refusal(body):
            return refusal
        progress.running(details={"user": body.user, "purpose": body.purpose})
        # Late: a daemon without sessions does without the library for keys.
        from penguin_agent.shell.hosting import Host  # noqa: PLC0415 -- see above

        host = Host(self._parts, order, body, session_folder(self._parts, order))
        try:
            return await host.run(self._forbidden)
        except PenguinDomeError as error:
            return Outcome("failed", error.reason, error.code)

    async def resume(self, order: Order, progress: Progress) -> Outcome:
        """Say that a session was broken off.

        Its holder ends all that was started, as politely as ever; who killed that too kept it.
        """
        del progress
        await asyncio.sleep(_HOLDER_SECONDS)
        await end_marked({"PD_ORDER_ID": order.order_id})
        shutil.rmtree(session_folder(self._parts, order), ignore_errors=True)
        return Outcome("interrupted", "the agent was ended during the session", "agent-ended")

    def _refusal(self, body: ShellBody) -> Outcome | None:
        settings = self._parts.settings
        if reason := self._forbidden():
            return Outcome("refused", reason, "forbidden")
        if settings.users and body.user not in settings.users:
            return Outcome("refused", f"sessions as {body.user} are not permitted", "user")
        if len(self._parts.sessions) >= settings.sessions:
            return Outcome("refused", f"{settings.sessions} sessions are open already", "too-many")
        return None

    def _forbidden(self) -> str:
        """Return why there may be no session now, "" if there may."""
        deny = self._parts.settings.deny_file
        return f"the device's owner forbids sessions ({deny} exists)" if deny.exists() else ""

    async def _agreed(self, order: Order, body: ShellBody) -> bool:
        settings = self._parts.settings
        if not settings.require_consent:
            return True
        question = Question(order.order_id, order.by, body.user, order.reason)
        await self._parts.notices.tell(
            f"{order.by} asks for a session as {body.user}: {order.reason}. To agree: "
            "penguin-agent consent yes; to refuse: penguin-agent consent no"
        )
        return await self._parts.sessions.consents.ask(question, settings.consent_wait)


def session_folder(parts: ShellParts, order: Order) -> Path:
    """Return a session's own folder; short, since a socket's path has 108 bytes."""
    return parts.folder / order.order_id[-10:]
