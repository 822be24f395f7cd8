"""Host one session: its program, its end of the sealed link, its recording, its notices."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
from typing import TYPE_CHECKING, Any

from logbook import Logger

from penguin_agent.orders.acts import Outcome
from penguin_agent.shell.copying import copying
from penguin_agent.shell.leg import Leg
from penguin_agent.shell.open_sessions import OpenSession
from penguin_agent.shell.program import Program, Wanted
from penguin_agent.shell.recorder import Recorder, Subject
from penguin_agent.shell.sealed_recording import sealer
from penguin_agent.shell.session import Limits, Session
from penguindome.durable import make_private_dir
from penguindome.errors import PenguinDomeError
from penguindome.shell.answer import Answer, SealedAnswer, payload_hash, seal_answer
from penguindome.shell.endpoint import Endpoint
from penguindome.shell.pulse import SILENT
from penguindome.shell.sealing import Ephemeral

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from penguin_agent.link import Link
    from penguin_agent.orders.acts import Order
    from penguin_agent.shell.act import ShellParts
    from penguindome.orders.shell_body import ShellBody
    from penguindome.shell.frames import Exit

log = Logger(__name__)

RETRY_SECONDS = 0.5
HASTE_SECONDS = 2.0
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WHAT = {"shell": "a session", "copy-to": "a file copy", "copy-from": "a file copy"}
_STATES: Mapping[str, str] = {
    "longest": "timed-out",
    "idle": "timed-out",
    "cancelled": "cancelled",
    "killed": "cancelled",
    "left": "cancelled",
}


class Host:
    """One session.

    Args:
        parts: What the agent has.
        order: The shell order.
        body: What it wants.
        folder: The session's own, while it lasts.
    """

    def __init__(self, parts: ShellParts, order: Order, body: ShellBody, folder: Path) -> None:
        self._parts = parts
        self._order = order
        self._body = body
        self._folder = folder
        self._order_hash = payload_hash(order.envelope.payload)

    async def run(self, forbidden: Callable[[], str]) -> Outcome:
        """Start the program, answer the operator, and stay until the end.

        Args:
            forbidden: Returns why the session has to end now, "" while it may go on.

        Raises:
            PenguinDomeError: It cannot begin.
        """
        order, body = self._order, self._body
        ephemeral = Ephemeral()
        sealed = self._answer(ephemeral)
        keys = ephemeral.agree(body.operator_key, order.envelope.payload, sealed.payload)
        if (seal := sealer(body.auditor_keys)) is not None:
            # Tried before anything runs: a short session writes its only piece at its end.
            await asyncio.to_thread(seal, b"")
        endpoint, recorder = Endpoint(keys, "to-operator"), self._recorder()
        make_private_dir(self._folder)
        try:
            session = Session(
                await Program.start(self._wanted(), self._folder),
                endpoint,
                recorder,
                self._limits(),
                shows=body.purpose == "shell",
                waits=body.moderated,
                forbidden=forbidden,
                steady=self._parts.steady,
            )
            leg = Leg(order.order_id, sealed, endpoint, session.received, session.end)
            how = await self._hold(session, leg)
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
        return _outcome(how, recorder)

    async def _hold(self, session: Session, leg: Leg) -> Exit:
        """Have the session listed and told of while it lasts."""
        parts, order, body = self._parts, self._order, self._body
        parts.sessions.add(
            OpenSession(
                order_id=order.order_id,
                operator=order.by,
                user=body.user,
                purpose=body.purpose,
                reason=order.reason,
                began_time=parts.clock(),
                end=session.end,
            )
        )
        begins = f"{order.by} opens {_WHAT[body.purpose]} as {body.user} on this device"
        try:
            async with asyncio.TaskGroup() as group:
                running = group.create_task(session.run(lambda: self._linked(leg)), name="session")
                text = f"{begins}: {order.reason}" if order.reason else begins
                group.create_task(parts.notices.tell(text), name="notice")
                try:
                    how = await asyncio.shield(running)
                except asyncio.CancelledError:
                    session.end("the session was called off", "cancelled")
                    how = await running
        finally:
            parts.sessions.remove(order.order_id)
        await parts.notices.tell(f"The session of {order.by} has ended")
        return how

    async def _linked(self, leg: Leg) -> None:
        """Hold a way to the server, another one when it is lost."""
        link = self._parts.link
        while True:
            await connected(link)
            connection = link.connection
            if connection is not None:
                try:
                    await leg.run(connection.channel)
                except PenguinDomeError as error:
                    log.info("The session's link is lost: {}", error)
                    if error.code == SILENT and link.connection is connection:
                        # Everything else goes the same way; a new connection may find another.
                        link.reconnect()
            await asyncio.sleep(RETRY_SECONDS)

    def _answer(self, ephemeral: Ephemeral) -> SealedAnswer:
        identity = self._parts.identity()
        answer = Answer(
            fleet=identity.device.fleet,
            device_id=identity.device.device_id,
            order_id=self._order.order_id,
            order_hash=self._order_hash,
            session_key=ephemeral.public,
        )
        return seal_answer(answer, identity.key_pem)

    def _recorder(self) -> Recorder | None:
        order, body, parts = self._order, self._body, self._parts
        if body.recording == "off":
            return None
        identity, began = parts.identity(), parts.steady()
        recorder = Recorder(
            Subject(
                fleet=identity.device.fleet,
                device_id=identity.device.device_id,
                order_id=order.order_id,
                order_hash=self._order_hash,
                key_pem=identity.key_pem,
            ),
            parts.uploads.folder(order.order_id),
            clock=parts.clock,
            steady=lambda: parts.steady() - began,
            limit_bytes=parts.settings.recording_limit_bytes,
            seal=sealer(body.auditor_keys),
        )
        title = f"{order.order_id} {order.by}"
        recorder.header(columns=body.columns, rows=body.rows, title=title, env={"TERM": body.term})
        if body.purpose != "shell":
            recorder.mark(" ".join(filter(None, (body.purpose, body.path, body.sha256))))
        return recorder

    def _wanted(self) -> Wanted:
        body, order_id = self._body, self._order.order_id
        is_shell = body.purpose == "shell"
        environment = {"PATH": SYSTEM_PATH, "PD_ORDER_ID": order_id}
        if body.terminal:
            environment["TERM"] = body.term
        if body.lang:
            environment["LANG"] = body.lang
        size = (body.columns, body.rows) if body.terminal and is_shell else None

        def launch(holder: Sequence[str]) -> Sequence[str]:
            return self._parts.launch(order_id, holder)

        return Wanted(
            body.user, body.argv if is_shell else copying(body), environment, size, launch
        )

    def _limits(self) -> Limits:
        body, settings = self._body, self._parts.settings
        return Limits(
            idle=min(body.idle_seconds, settings.idle.total_seconds()),
            longest=min(body.longest_seconds, settings.longest.total_seconds()),
            resume=settings.resume.total_seconds(),
        )


async def connected(link: Link) -> None:
    """Wait for a connection; while somebody waits at the other end, no pause before it is long."""
    while not link.connected.is_set():
        link.wake()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HASTE_SECONDS):
                await link.connected.wait()


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
