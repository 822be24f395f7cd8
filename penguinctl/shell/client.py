"""A session at the operator's end: its state, and the keyboard."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING

from penguinctl.escapes import Escapes, Typed, Wish
from penguinctl.shell import terminal
from penguindome.errors import Forbidden, PenguinDomeError, PreconditionFailed
from penguindome.shell.answer import Answer, open_answer
from penguindome.shell.endpoint import Endpoint
from penguindome.shell.frames import DATA_LIMIT_BYTES, Exit, Frame, read_exit, size_bytes
from penguindome.shell.resuming import ACKNOWLEDGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguindome.shell.answer import SealedAnswer
    from penguindome.shell.sealing import Ephemeral

INPUT_WINDOW_BYTES = 64 * 1024
_PATIENCE_SECONDS = 1.0
LEAVE_SECONDS = 2.0
LEFT = "left"
HELP = """Supported escape sequences, at the beginning of a line:
  ~.   end the session
  ~^Z  suspend penguinctl
  ~?   this list
  ~~   send one ~"""


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
        self.endpoint = Endpoint(keys, "to-device", INPUT_WINDOW_BYTES)
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
        if taken is not None:
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

    async def type(self, data: bytes) -> None:
        """Send input as soon as there is a session and room."""
        await self.begun.wait()
        if self.endpoint is not None:
            await self.endpoint.wait_room()
            self.endpoint.send(Frame.INPUT, data)

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


class Keyboard:
    """Reads standard input into a session.

    Args:
        client: the session.
        escapes: what ~ means.
        local: the terminal, None where input is none.
    """

    def __init__(
        self, client: Client, escapes: Escapes, local: terminal.Terminal | None, descriptor: int = 0
    ) -> None:
        self._client = client
        self._escapes = escapes
        self._local = local
        self._descriptor = descriptor

    async def run(self) -> None:
        """Read until the end of input."""
        while True:
            data = await self._read()
            if not data and self._local is not None:
                # The terminal is gone.
                self._client.leave()
                return
            if not data:
                await self._client.begun.wait()
                self._client.send(Frame.INPUT_END, b"")
                return
            typed = [Typed(data)] if self._local is None else self._escapes.typed(data)
            for one in typed:
                if one.wish is not None:
                    self._obey(one.wish)
                elif one.data:
                    await self._send(one.data)

    async def _send(self, data: bytes) -> None:
        await self._client.type(data)

    def _obey(self, wish: Wish) -> None:
        if wish is Wish.END:
            self._client.leave()
        elif wish is Wish.HELP:
            terminal.say(HELP.replace("\n", "\r\n"))
        elif self._local is not None:
            self._local.suspend()
            self._client.send(Frame.SIZE, size_bytes(*terminal.size()))

    async def _read(self) -> bytes:
        """Read what is there; a file is always ready, a terminal and a pipe tell when."""
        loop, ready = asyncio.get_running_loop(), asyncio.Event()
        try:
            loop.add_reader(self._descriptor, ready.set)
        except (OSError, PermissionError):
            return await asyncio.to_thread(os.read, self._descriptor, DATA_LIMIT_BYTES // 2)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(self._descriptor)
        try:
            return os.read(self._descriptor, DATA_LIMIT_BYTES // 2)
        except OSError:
            return b""


def follow_size(client: Client) -> None:
    """Tell the device each new size of the terminal."""

    def changed() -> None:
        client.send(Frame.SIZE, size_bytes(*terminal.size()))

    asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, changed)
