"""A session on the device and an operator's end, joined directly: no server, no order."""

from __future__ import annotations

import asyncio
import getpass
import os
import tempfile
from pathlib import Path

from penguin_agent.shell.program import Program, Wanted
from penguin_agent.shell.session import Limits, Session
from penguindome.shell.endpoint import Endpoint, Mark
from penguindome.shell.frames import Exit, Frame, read_exit, size_bytes
from penguindome.shell.sealing import Ephemeral

LIMITS = Limits(idle=60, longest=60, resume=5)
ME = getpass.getuser()


class Operator:
    """The operator's end: sends input, keeps what comes."""

    def __init__(self, endpoint: Endpoint) -> None:
        """Take an end of the session."""
        self.endpoint = endpoint
        self.shown = {Frame.OUTPUT: bytearray(), Frame.ERRORS: bytearray()}
        self.how: Exit | None = None
        self.reads = True

    def received(self, sealed: bytes) -> None:
        """Take a frame."""
        taken = self.endpoint.take(sealed)
        if taken is None:
            return
        kind, data = taken
        if kind == Frame.EXIT:
            self.how = read_exit(data)
            self.endpoint.consumed(1 << 20)
        else:
            self.shown[Frame(kind)] += data
            if self.reads:
                self.endpoint.consumed(len(data))

    def type(self, text: str | bytes) -> None:
        """Send input."""
        self.endpoint.send(Frame.INPUT, text.encode() if isinstance(text, str) else text)

    def resize(self, columns: int, rows: int) -> None:
        """Send a size."""
        self.endpoint.send(Frame.SIZE, size_bytes(columns, rows))

    async def see(self, text: bytes, seconds: float = 10) -> None:
        """Wait until something was shown."""
        async with asyncio.timeout(seconds):
            while text not in self.shown[Frame.OUTPUT]:  # noqa: ASYNC110 -- a test
                await asyncio.sleep(0.005)


class Pair:
    """Both ends; `cut` and `mend` are what happens to the link."""

    def __init__(self, argv=(), *, size=(80, 24), limits=LIMITS, forbidden=lambda: "", **more):
        """Take what is to run."""
        self.argv, self.size, self.limits, self.forbidden = argv, size, limits, forbidden
        self.user, env = more.get("user", ME), more.get("env", {})
        self.env = {"PATH": os.environ["PATH"], "TERM": "xterm", "PS1": "$ ", **env}
        self.recorder = None
        self.shows = True
        self.meddle = lambda frame: [frame]

    async def __aenter__(self):
        """Start the program and join the ends."""
        theirs, ours = Ephemeral(), Ephemeral()
        self.operator = Operator(Endpoint(theirs.agree(ours.public, b"o", b"a"), "to-device"))
        self.device = Endpoint(ours.agree(theirs.public, b"o", b"a"), "to-operator")
        self.folder = Path(tempfile.mkdtemp(prefix="pd", dir="/tmp"))
        wanted = Wanted(self.user, self.argv, self.env, self.size)
        self.program = await Program.start(wanted, self.folder)
        self.session = Session(
            self.program,
            self.device,
            self.recorder,
            self.limits,
            shows=self.shows,
            forbidden=self.forbidden,
        )
        self.up = asyncio.Event()
        self.up.set()
        self.ended = asyncio.create_task(self.session.run(self._link))
        return self

    async def __aexit__(self, *_):
        """End what still runs."""
        self.session.end("the test is over", "test")
        await self.ended
        for one in self.folder.iterdir():
            one.unlink()
        self.folder.rmdir()

    def cut(self) -> None:
        """Lose the link with everything that is under way."""
        self.up.clear()
        self.linked.cancel()

    def mend(self) -> None:
        """Make another one."""
        self.up.set()

    async def _link(self) -> None:
        while True:
            await self.up.wait()
            self.linked = asyncio.gather(
                self._pass(self.operator.endpoint, self.device, self.session.received),
                self._pass(self.device, self.operator.endpoint, self.operator.received),
            )
            self.operator.endpoint.joined(self.device.received)
            self.device.joined(self.operator.endpoint.received)
            try:
                await self.linked
            except asyncio.CancelledError:
                if asyncio.current_task().cancelling():
                    raise
                self.operator.endpoint.lost()
                self.device.lost()

    async def _pass(self, source: Endpoint, target: Endpoint, received) -> None:
        async def deliver(what) -> None:
            if isinstance(what, bytes):
                for frame in self.meddle(what):
                    received(frame)
            elif not isinstance(what, Mark):
                target.acknowledged(what)
            await asyncio.sleep(0)

        await source.write_with(deliver)
