"""One session on the device: a program at one end, the sealed link at the other, limits around."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.shell.flow import Drain, Faucet
from penguindome.errors import PenguinDomeError
from penguindome.shell.frames import Exit, Frame, exit_bytes, read_size

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from penguin_agent.shell.program import Program
    from penguin_agent.shell.recorder import Recorder
    from penguindome.shell.endpoint import Endpoint

    Loop = Callable[[], Coroutine[object, object, None]]

log = Logger(__name__)

KILLED = 255
LEFT = "left"
LOOK_SECONDS = 0.5
# A reader who takes nothing holds the last output up no longer than this.
LAST_OUTPUT_SECONDS = 30.0
FAREWELL_SECONDS = 5.0
# What a program's holder has to end everything in; then it is done here.
END_SECONDS = 6.0


@dataclass(frozen=True, slots=True)
class Limits:
    """When a session is ended, seconds.

    Attributes:
        idle: without a byte from the operator.
        longest: in all.
        resume: without the operator's end.
    """

    idle: float
    longest: float
    resume: float


class Session:
    """Runs a program for an operator.

    Args:
        program: has a holder already, and is begun here.
        endpoint: this end of the session.
        recorder: None where nothing is recorded.
        limits: when it is ended.
        shows: whether what the program prints is recorded; a file's contents are not.
        waits: whether the program begins only when the operator's end is there: it is kept away
            until a moderator watches.
        forbidden: returns why it has to end now, "" while it may go on.
        steady: seconds that never jump and count sleep.
    """

    def __init__(
        self,
        program: Program,
        endpoint: Endpoint,
        recorder: Recorder | None,
        limits: Limits,
        *,
        shows: bool,
        waits: bool = False,
        forbidden: Callable[[], str],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._program = program
        self._endpoint = endpoint
        self._recorder = recorder
        self._limits = limits
        self._shows = shows
        self._waits = waits
        self._forbidden = forbidden
        self._steady = steady
        self._began = self._typed = self._seen = steady()
        self._why: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._drain = Drain(lambda: program.input, endpoint.consumed)
        self._told_exit = False

    def end(self, reason: str, code: str) -> None:
        """Have the session ended."""
        if not self._why.done():
            self._why.set_result(Exit(KILLED, reason, code))

    def received(self, sealed: bytes) -> None:
        """Take a frame from the link; one that was tampered with ends the session."""
        try:
            taken = self._endpoint.take(sealed)
            if taken is not None:
                self._act(*taken)
        except PenguinDomeError as error:
            self.end(error.reason, error.code)

    async def run(self, link: Loop) -> Exit:
        """Run to the end, whatever end that is; nothing of the program is left then.

        Args:
            link: holds a link to the operator's end for as long as the session lasts.
        """
        try:
            async with asyncio.TaskGroup() as group:
                return await self._run(group, link)
        finally:
            self._program.close()

    async def _run(self, group: asyncio.TaskGroup, link: Loop) -> Exit:
        def begin(loop: Loop) -> asyncio.Task[None]:
            return group.create_task(self._guarded(loop), name="shell")

        status = group.create_task(self._status(), name="shell status")
        tasks = [begin(one) for one in self._loops(link)]
        faucets = [begin(one.run) for one in self._faucets()]
        try:
            await asyncio.wait((status, self._why), return_when=asyncio.FIRST_COMPLETED)
            if not status.done():
                self._program.end()
                await asyncio.wait((status,), timeout=END_SECONDS)
            if not status.done():
                await self._program.end_for_certain(status)
            how = Exit(await status)
            by_itself = self._endpoint.is_joined and not self._why.done()
            await asyncio.wait(faucets, timeout=LAST_OUTPUT_SECONDS if by_itself else 0.2)
            # Nothing may follow the recording's end.
            for one in faucets:
                one.cancel()
            await asyncio.wait(faucets)
            how = self._why.result() if self._why.done() else how
            how = await self._farewell(group, how)
        finally:
            for one in (*tasks, *faucets):
                one.cancel()
            status.cancel()
        return how

    async def _status(self) -> int:
        """Begin the program as soon as it may, and wait for its end."""
        while self._waits and not self._why.done():
            self._waits = not self._endpoint.is_joined
            await asyncio.sleep(LOOK_SECONDS if self._waits else 0)
        if not self._why.done():
            self._program.begin()
        try:
            return await self._program.status()
        except PenguinDomeError as error:
            self.end(error.reason, error.code)
            return KILLED

    async def _farewell(self, group: asyncio.TaskGroup, how: Exit) -> Exit:
        """Write the recording's end, and tell the operator, who then has everything.

        Why somebody ended the session before that is told too: what the operator's end refused has
        not arrived, however well the program ended here. An operator who has gone is not waited for
        then: the server says why, should they come back.
        """
        if self._recorder is not None:
            words = f"ended: {how.reason}" if how.reason else f"exit {how.status}"
            try:
                await self._recorder.end(words)
            except (PenguinDomeError, OSError) as error:
                log.error("The end of a recording cannot be written: {}", error)  # noqa: TRY400 -- no bug
        self._told_exit = True
        self._endpoint.send(Frame.EXIT, exit_bytes(how))
        if not how.reason:
            settled = group.create_task(self._endpoint.wait_settled(), name="shell farewell")
            first, seconds = asyncio.FIRST_COMPLETED, self._limits.resume
            await asyncio.wait((settled, self._why), timeout=seconds, return_when=first)
            settled.cancel()
        if self._why.done():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FAREWELL_SECONDS):
                    await self._endpoint.wait_settled(or_alone=True)
        if not self._endpoint.is_settled:
            log.info("The operator's end did not hear the end of the session")
        if self._endpoint.is_settled or not self._why.done() or self._why.result().code == LEFT:
            return how
        return replace(self._why.result(), status=how.status)

    def _loops(self, link: Loop) -> list[Loop]:
        loops: list[Loop] = [link, self._watch, lambda: self._drain.run(self._program.end_input)]
        if self._recorder is not None:
            loops.append(self._recorder.run)
        return loops

    def _faucets(self) -> list[Faucet]:
        kinds = {"stdout": Frame.OUTPUT, "stderr": Frame.ERRORS}
        recorder = self._recorder if self._shows else None
        return [
            Faucet(descriptor, kinds[name], self._endpoint, recorder)
            for name, descriptor in self._program.outputs.items()
        ]

    async def _guarded(self, loop: Loop) -> None:
        """End the session where one of its parts fails: nothing may go on unrecorded."""
        try:
            await loop()
        except PenguinDomeError as error:
            self.end(error.reason, error.code)
        except OSError as error:
            self.end(f"the session cannot be recorded: {error.strerror}", "not-recorded")
        except Exception:
            log.exception("A session's part failed")
            self.end("the agent failed", "internal")

    def _act(self, kind: int, data: bytes) -> None:
        if kind == Frame.INPUT:
            self._typed = self._steady()
            self._drain.put(data)
            return
        if kind == Frame.INPUT_END:
            self._drain.put(None)
        elif kind == Frame.SIZE:
            columns, rows = read_size(data)
            self._program.resize(columns, rows)
            if self._recorder is not None:
                self._recorder.resized(columns, rows)
        elif kind == Frame.SIGNAL:
            self._program.signal(data[:8].decode("ascii", "replace"))
        elif kind == Frame.LEAVE:
            self.end("the operator left", LEFT)
        self._endpoint.consumed(len(data))

    async def _watch(self) -> None:
        """End the session when its time is over."""
        while not self._told_exit:
            now = self._steady()
            if self._endpoint.is_joined or self._waits:
                self._seen = now
            limits = self._limits
            if reason := self._forbidden():
                self.end(reason, "forbidden")
            elif now - self._began >= limits.longest:
                self.end(f"it lasted {limits.longest:g} seconds, its longest time", "longest")
            elif now - self._typed >= limits.idle:
                self.end(f"nothing was typed for {limits.idle:g} seconds", "idle")
            elif now - self._seen >= limits.resume:
                self.end("the operator's link did not come back", "link-lost")
            await asyncio.sleep(LOOK_SECONDS)
