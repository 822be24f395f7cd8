"""Devices in one process: the agent's own code for identity, renewal, link and trust.

Reads {"verb": "enroll" | "wake", "devices": {name: token}} from standard input, a line each, and
prints what became of each device. What the agent does in a child process happens here.
"""

import asyncio
import json
import pathlib
import sys
from typing import Any

from penguin_agent.agent import Agent
from penguin_agent.base import Base
from penguin_agent.config import load
from penguin_agent.enrollment import make_enrollment
from penguin_agent.failpoints import no_failpoint
from penguin_agent.identities import Identities
from penguin_agent.identity_child import _facts
from penguin_agent.identity_folder import IdentityFolder
from penguindome.errors import PenguinDomeError
from penguindome.times import utc_now
from penguindome.tokens import decode_token

SETTINGS = """
[paths]
state_dir = "{folder}/state"
runtime_dir = "{folder}/run"
plugins = "{folder}/plugins"
local_plugins = "{folder}/local"
"""
PATIENCE_SECONDS = 20.0


class Near(Identities):
    """Works with the keys here instead of in a child process."""

    def __init__(self, state_dir: pathlib.Path) -> None:
        super().__init__(state_dir / "identity", None)
        self._state_dir = state_dir
        self.renewals = 0

    async def _child(self, verb: str) -> dict[str, Any]:
        folder = IdentityFolder(self._state_dir / "identity")
        identity = folder.load()
        if verb == "renew" and identity is not None:
            identity = await make_enrollment(folder, self._state_dir).renew(identity)
            self.renewals += 1
        return {"facts": _facts(identity)}


def prepare(folder: pathlib.Path) -> None:
    """Make a device's folders and settings."""
    folder.mkdir(mode=0o700)
    for name in ("run", "plugins", "local"):
        (folder / name).mkdir()
    (folder / "agent.toml").write_text(SETTINGS.format(folder=folder))


async def enroll(folder: pathlib.Path, token: str) -> dict[str, Any]:
    """Make a device."""
    prepare(folder)
    state_dir = load(folder / "agent.toml").paths.state_dir
    identities = IdentityFolder(state_dir / "identity")
    outcome = await make_enrollment(identities, state_dir).enroll(decode_token(token))
    return {"device_id": outcome.device_id}


async def wake(folder: pathlib.Path, _token: str) -> dict[str, Any]:
    """Run a device's link until it is connected, and let it sleep again."""
    base = Base(load(folder / "agent.toml"), wall=utc_now)
    state_dir = base.settings.paths.state_dir
    base.identities = near = Near(state_dir)
    async with asyncio.TaskGroup() as group:
        identity = await base.identities.load()
        assert identity is not None
        agent = Agent(base, identity, group, no_failpoint)
        task = group.create_task(agent.link.run())
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await agent.link.connected.wait()
        except TimeoutError:
            pass
        connected, trouble = agent.link.connected.is_set(), agent.link.trouble
        task.cancel()
    document = base.trust.newest()
    now = base.identities.known
    return {
        "connected": connected,
        "trouble": trouble,
        "renewals": near.renewals,
        "trust": document.version if document else 0,
        "server": base.enrollment_words()["server"],
        "device_id": now.device.device_id if now else "",
    }


async def answer(request: dict[str, Any], home: pathlib.Path) -> dict[str, Any]:
    """Have all devices do something at the same time."""
    act = {"enroll": enroll, "wake": wake}[request["verb"]]

    async def one(name: str, token: str) -> tuple[str, dict[str, Any]]:
        try:
            return name, await act(home / name, token)
        except PenguinDomeError as error:
            return name, {"connected": False, "trouble": error.text()}

    done = await asyncio.gather(*(one(*each) for each in request["devices"].items()))
    return dict(done)


async def main(home: pathlib.Path) -> None:
    """Obey until standard input ends."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        sys.stdout.write(json.dumps(await answer(json.loads(line), home)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(pathlib.Path(sys.argv[1])))
