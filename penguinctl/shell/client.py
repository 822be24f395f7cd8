"""A session at the operator's end: its state."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penguindome.errors import Forbidden, PenguinDomeError, PreconditionFailed
from penguindome.shell.answer import Answer, open_answer
from penguindome.shell.endpoint import Endpoint
from penguindome.shell.frames import Exit, Frame, read_exit
from penguindome.shell.resuming import ACKNOWLEDGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguindome.shell.answer import SealedAnswer
    from penguindome.shell.sealing import Ephemeral

_PATIENCE_SECONDS = 1.0
LEAVE_SECONDS = 2.0
LEFT = "left"


class Client:
    """One session.

    Args:
        ephemeral: our key of the session, whose public half stands in the order.
        order: the order's payload, as it was signed.
        expected: which device answers which order.
        device_key: the device's public key, DER.
        note: tells the operator something.
    """

    def __init__(
        self,
        ephemeral: Ephemeral,
        order: bytes,
        expected: Answer,
        device_key: bytes,
        note: Callable[[str], None],
    ) -> None:
        self._ephemeral = ephemeral
        self._order = order
        self._expected = expected
        self._device_key = device_key
        self._note = note
        self._answer: SealedAnswer | None = None
        self._said = self._state = ""
        self._leaves = False
        # Why we left; empty where nobody has to be told.
        self.left_for = ""
        self.endpoint: Endpoint | None = None
        # Why there was no session; None once there is one.
        self.failure: PenguinDomeError | None = None
        # Whether the device itself said that the session is over.
        self.heard_end = False
        self.begun = asyncio.Event()
        self.ended: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.frames: asyncio.Queue[tuple[int, bytes]] = asyncio.Queue()
        # Takes a frame that nothing waits before, without waiting; tells whether it did.
        self.at_once: Callable[[int, bytes], bool] = lambda _kind, _data: False

    def answered(self, answer: SealedAnswer) -> Endpoint:
        """Verify a device's answer; the same one comes again after a loss.

        Raises:
            Forbidden: it is not our device's, or a second one.
        """
        if self.endpoint is not None:
            if answer != self._answer:
                raise Forbidden("the device answered twice", code="shell-tampered")
            return self.endpoint
        opened = open_answer(answer, self._device_key, self._expected)
        keys = self._ephemeral.agree(opened.session_key, self._order, answer.payload)
        self._answer = answer
        self.endpoint = Endpoint(keys, "to-device")
        for one in opened.notes:
            self._note(one)
        self.begun.set()
        return self.endpoint

    def received(self, sealed: bytes) -> None:
        """Take a frame; one that was tampered with ends the session."""
        if self.endpoint is None:
            self.end("a frame came before the answer", "shell-tampered")
            return
        try:
            taken = self.endpoint.take(sealed)
        except PenguinDomeError as error:
            self.end(error.reason, error.code)
            return
        if taken is not None and not (self.frames.empty() and self.at_once(*taken)):
            self.frames.put_nowait(taken)

    def news(self, state: str, reason: str) -> None:
        """Tell what the session waits for, once."""
        if state == "ended":
            # The device's own last frame says it better, if it comes.
            error = PreconditionFailed(f"there was no session: {reason}", code="no-session")
            if self.endpoint is None:
                asyncio.get_running_loop().call_later(0.2, self.fail, error)
            else:
                asyncio.get_running_loop().call_later(3.0, self.end, reason, "ended")
        elif state != self._state and not self.ended.done():
            self._state = state
            asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._tell, state)

    def _tell(self, state: str) -> None:
        """Say what is waited for, if it still is; what takes a moment is not worth a word."""
        if state != self._state or self.ended.done() or self._leaves:
            return
        if said := _WAITS.get(state, ""):
            self._note(said)
        elif self._said:
            self._note("Connected.")
        self._said = said

    def fail(self, error: PenguinDomeError) -> None:
        """End our side for an error."""
        if self.endpoint is None:
            self.failure = error
        self.end(error.reason, error.code)

    def leave(self, reason: str = "") -> None:
        """Have the session ended, and wait a moment for the device to say that it is."""
        self._leaves, self.left_for = True, self.left_for or reason
        if self.endpoint is None:
            self.end(reason, LEFT)
            return
        self.endpoint.send(Frame.LEAVE, b"")
        asyncio.get_running_loop().call_later(LEAVE_SECONDS, self.end, reason, LEFT)

    def end(self, reason: str, code: str) -> None:
        """End our side."""
        if not self.ended.done():
            self.ended.set_result(Exit(255, reason, code))

    def send(self, kind: int, data: bytes) -> None:
        """Send a frame, as soon as there is a session."""
        if self.endpoint is not None:
            self.endpoint.send(kind, data)

    @property
    def has_room(self) -> bool:
        """Tell whether there is a session that takes input now."""
        return self.endpoint is not None and self.endpoint.room > 0

    async def wait_room(self) -> None:
        """Wait until there is a session that takes input."""
        await self.begun.wait()
        if self.endpoint is not None:
            await self.endpoint.wait_room()

    async def type(self, data: bytes) -> None:
        """Send input as soon as there is a session and room."""
        await self.wait_room()
        self.send(Frame.INPUT, data)

    def finish(self, data: bytes) -> None:
        """Take the device's last frame."""
        how, self.heard_end = read_exit(data), True
        if self.endpoint is not None:
            self.endpoint.consumed(ACKNOWLEDGE_BYTES)
        if self.left_for:
            how = Exit(255, self.left_for, "")
        if not self.ended.done():
            self.ended.set_result(how)


_WAITS = {
    "waiting-device": "Waiting for the device…",
    "waiting-moderator": "Waiting for an operator who approved it to watch…",
    "waiting-link": "The connection is lost; waiting for it…",
}
