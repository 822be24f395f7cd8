"""Act on shell orders: check what the device permits, tell its people, run, record, end."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from logbook import Logger

from penguin_agent.orders.acts import Outcome
from penguin_agent.shell.consents import Question
from penguin_agent.shell.copying import copying
from penguin_agent.shell.leg import Leg
from penguin_agent.shell.open_sessions import OpenSession
from penguin_agent.shell.program import Program, Wanted
from penguin_agent.shell.recorder import Recorder, Subject
from penguin_agent.shell.sealed_recording import sealer
from penguin_agent.shell.session import Limits, Session
from penguindome.durable import make_private_dir
from penguindome.errors import PenguinDomeError
from penguindome.orders.shell_body import ShellBody
from penguindome.shell.answer import Answer, SealedAnswer, payload_hash, seal_answer
from penguindome.shell.endpoint import Endpoint
from penguindome.shell.sealing import Ephemeral

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

    from penguin_agent.config_shell import ShellSettings
    from penguin_agent.identity import Identity
    from penguin_agent.link import Link
    from penguin_agent.orders.acts import Order, Progress
    from penguin_agent.shell.notices import Notices
    from penguin_agent.shell.open_sessions import OpenSessions
    from penguin_agent.shell.uploads import Uploads
    from penguindome.shell.frames import Exit

log = Logger(__name__)

RETRY_SECONDS = 0.5
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


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
        try:
            return await self._hold(order, body)
        except PenguinDomeError as error:
            return Outcome("failed", error.reason, error.code)

    async def resume(self, order: Order, progress: Progress) -> Outcome:
        """Say that a session was broken off; its holder has ended all that it had started."""
        del progress
        shutil.rmtree(self._folder(order), ignore_errors=True)
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

    async def _hold(self, order: Order, body: ShellBody) -> Outcome:
        """Start the program, answer the operator, and stay until the end."""
        parts = self._parts
        ephemeral = Ephemeral()
        sealed = self._answer(order, ephemeral)
        keys = ephemeral.agree(body.operator_key, order.envelope.payload, sealed.payload)
        endpoint = Endpoint(keys, "to-operator")
        recorder = self._recorder(order, body)
        folder = self._folder(order)
        make_private_dir(folder)
        try:
            program = await Program.start(self._wanted(order, body), folder)
            session = Session(
                program,
                endpoint,
                recorder,
                self._limits(body),
                shows=body.purpose == "shell",
                forbidden=self._forbidden,
                steady=parts.steady,
            )
            return await self._run(order, body, session, Leg(
                order.order_id, sealed, endpoint, session.received, session.end
            ), recorder)  # fmt: skip
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _run(
        self, order: Order, body: ShellBody, session: Session, leg: Leg, recorder: Recorder | None
    ) -> Outcome:
        parts = self._parts
        parts.sessions.add(
            OpenSession(
                order.order_id, order.by, body.user, body.purpose, order.reason, parts.clock(),
                session.end,
            )
        )  # fmt: skip
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(parts.notices.tell(_notice(order, body)), name="notice")
                running = group.create_task(session.run(lambda: self._linked(leg)), name="session")
                try:
                    how = await asyncio.shield(running)
                except asyncio.CancelledError:
                    session.end("the session was called off", "cancelled")
                    how = await running
        finally:
            parts.sessions.remove(order.order_id)
        await parts.notices.tell(f"The session of {order.by} has ended.")
        return _outcome(how, recorder)

    async def _linked(self, leg: Leg) -> None:
        """Hold a way to the server, another one when it is lost."""
        link = self._parts.link
        while True:
            await link.connected.wait()
            connection = link.connection
            if connection is not None:
                try:
                    await leg.run(connection.channel)
                except PenguinDomeError as error:
                    log.info("The session's link is lost: {}", error)
            await asyncio.sleep(RETRY_SECONDS)

    def _answer(self, order: Order, ephemeral: Ephemeral) -> SealedAnswer:
        identity = self._parts.identity()
        answer = Answer(
            fleet=identity.device.fleet,
            device_id=identity.device.device_id,
            order_id=order.order_id,
            order_hash=payload_hash(order.envelope.payload),
            session_key=ephemeral.public,
        )
        return seal_answer(answer, identity.key_pem)

    def _recorder(self, order: Order, body: ShellBody) -> Recorder | None:
        if body.recording == "off":
            return None
        parts, identity = self._parts, self._parts.identity()
        subject = Subject(
            fleet=identity.device.fleet,
            device_id=identity.device.device_id,
            order_id=order.order_id,
            order_hash=payload_hash(order.envelope.payload),
            key_pem=identity.key_pem,
        )
        began = parts.steady()
        recorder = Recorder(
            subject,
            parts.uploads.folder(order.order_id),
            clock=parts.clock,
            steady=lambda: parts.steady() - began,
            limit_bytes=parts.settings.recording_limit_bytes,
            seal=sealer(body.auditor_keys),
        )
        title = f"{order.order_id} {order.by}"
        recorder.header(columns=body.columns, rows=body.rows, title=title, env={"TERM": body.term})
        return recorder

    def _wanted(self, order: Order, body: ShellBody) -> Wanted:
        environment = {"PATH": SYSTEM_PATH, "PD_ORDER_ID": order.order_id}
        if body.terminal:
            environment["TERM"] = body.term
        if body.lang:
            environment["LANG"] = body.lang
        size = (body.columns, body.rows) if body.terminal and body.purpose == "shell" else None
        words = body.argv if body.purpose == "shell" else copying(body)

        def launch(holder: Sequence[str]) -> Sequence[str]:
            return self._parts.launch(order.order_id, holder)

        return Wanted(body.user, words, environment, size, launch)

    def _limits(self, body: ShellBody) -> Limits:
        settings = self._parts.settings
        return Limits(
            idle=min(body.idle_seconds, settings.idle.total_seconds()),
            longest=min(body.longest_seconds, settings.longest.total_seconds()),
            resume=settings.resume.total_seconds(),
        )

    def _folder(self, order: Order) -> Path:
        return self._parts.folder / order.order_id[-10:]


def _notice(order: Order, body: ShellBody) -> str:
    what = {"shell": "a session", "copy-to": "a file copy", "copy-from": "a file copy"}
    return f"{order.by} opens {what[body.purpose]} as {body.user} on this device: {order.reason}"


_STATES: Mapping[str, str] = {
    "longest": "timed-out",
    "idle": "timed-out",
    "cancelled": "cancelled",
    "killed": "cancelled",
}


def _outcome(how: Exit, recorder: Recorder | None) -> Outcome:
    details: dict[str, Any] = {}
    if recorder is not None:
        details = {
            "chain": recorder.chain.hex(),
            "pieces": recorder.pieces,
            "recorded_bytes": recorder.recorded_bytes,
        }
    if how.reason:
        state = _STATES.get(how.code, "failed")
        return Outcome(state, how.reason, how.code, details=details)
    return Outcome("succeeded", exit_code=how.status, details=details)
