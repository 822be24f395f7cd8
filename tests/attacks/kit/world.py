"""One device, its taken server and its honest operators; whatever an order does leaves a mark.

Alice and Bob may command alone; releases, patches and wipes take two of Alice, Bob and Carol.
Mallory is an operator who was given no role but one that has nothing to do with orders.
"""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import socket
import tempfile
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penguindome.ids import new_ulid
from penguindome.names import clean_hostname
from penguindome.orders.kinds import KINDS
from penguindome.orders.shell_body import ShellBody
from penguindome.times import utc_now
from penguindome.trust import Role
from tests.attacks.kit.taken_server import TakenServer
from tests.penguin_agent.agent_process import AgentProcess, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penguindome.envelope import Envelope
    from penguindome.trust import TrustDocument
    from tests.penguindome.signing import Fleet

ALONE = ("command", "shell", "approve")
TOGETHER = ("release", "patch", "wipe", "secrets")
# A machine that runs tests must outlive a hole in them: what is signed well is refused here, too.
SETTINGS = "[allow]\nwipe = false\n"
REFUSED = re.compile(r"is refused: (.*)")
USER = pwd.getpwuid(os.geteuid()).pw_name
HOSTNAME = clean_hostname(socket.gethostname())


class World:
    """A fleet of one device.

    Args:
        fleet: The operators' keys.
        server: What was taken over.
        agent: The device.
        folder: Where marks are left.
    """

    def __init__(self, fleet: Fleet, server: TakenServer, agent: AgentProcess, folder: Path):
        self.fleet = fleet
        self.server = server
        self.agent = agent
        self.folder = folder
        self.marks_folder = folder / "marks"
        self.marks_folder.mkdir()
        self._number = 0

    def begin(self) -> None:
        """Enroll the device, start it, and give the operators their roles."""
        self.agent.enroll(self.server.token())
        self.agent.start()
        self.connected()
        self.publish(self.roles())

    def roles(self, **changes: Any) -> TrustDocument:
        """Return the next version of the trust document, with everybody's roles."""
        names = ("alice", "bob", "carol", "mallory")
        keys = {name: self.fleet.keys[name] for name in names}
        alone, three = (keys["alice"], keys["bob"]), tuple(keys[name] for name in names[:3])
        roles = {name: Role(1, alone) for name in ALONE} | {
            name: Role(2, three) for name in TOGETHER
        }
        last = self.server.document
        whole = replace(
            last,
            version=last.version + 1,
            keys={keys[name]: self.fleet.blob(name) for name in names},
            operators={keys[name]: name for name in names},
            roles=roles | {"root": Role(1, (keys["alice"],))},
        )
        return replace(whole, **changes)

    def publish(self, document: TrustDocument) -> None:
        """Have the root operator sign a document, and wait until the device keeps it."""
        self.server.chain.append(self.fleet.publish(document, "alice"))
        self.server.announce()
        eventually(lambda: self.trust_version() == document.version)

    def trust_version(self) -> int:
        """Return which trust document the device keeps."""
        folder = self.agent.state / "trust"
        return max((int(path.stem) for path in folder.glob("[0-9]*.json")), default=0)

    def connected(self) -> None:
        """Wait until the device's stream is open."""
        before = len(self.server.device.checkins) if self.server.devices else 0
        eventually(
            lambda: self.server.devices and len(self.server.device.confirmed) >= max(before, 1)
        )

    def restart(self, *, kill: bool = False) -> None:
        """End the agent and start it again."""
        count = len(self.server.device.confirmed)
        if kill:
            assert self.agent.daemon is not None
            self.agent.daemon.kill()
            self.agent.daemon.wait()
        else:
            self.agent.stop()
        self.agent.start()
        eventually(lambda: len(self.server.device.confirmed) > count)

    @property
    def device_id(self) -> str:
        """Return the device's id."""
        return self.server.device.device_id

    def mark(self) -> Path:
        """Return a path that no order has touched yet."""
        self._number += 1
        return self.marks_folder / f"m{self._number}"

    def marks(self) -> set[str]:
        """Return which marks were left."""
        return {path.name for path in self.marks_folder.iterdir()}

    def command_body(self, mark: Path, **changes: Any) -> dict[str, Any]:
        """Return the body of a command that leaves a mark each time it runs."""
        body = {
            "hostnames": {self.device_id: HOSTNAME},
            "name": "mark",
            "argv": ["/bin/sh", "-c", f"echo ran >> {mark}"],
            "user": USER,
            "timeout_seconds": 60,
            "output_limit_bytes": 1000,
        }
        return body | changes

    def body(self, kind: str, mark: Path) -> dict[str, Any]:
        """Return the body of an order of a kind that would leave a mark."""
        names = {self.device_id: HOSTNAME}
        script = f"#!/bin/sh\necho ran >> {mark}\necho '{{}}'\n".encode()
        digest = self.server.keep(script)
        entry = {"mode": "0755", "size": len(script), "sha256": digest}
        if kind == "release":
            paths = ("plugins/marker", "commands/marker")
            return {"label": "evil", "files": [entry | {"path": path} for path in paths]}
        if kind == "patch":
            path = "plugins/marker"
            return {
                "hostnames": names,
                "files": [{"path": path, "entry": entry | {"path": path}}],
            }
        if kind in {"wipe", "wipe-plan"}:
            said = f"{self.device_id} {HOSTNAME}" if kind == "wipe" else ""
            return {"hostnames": names, "level": "erase-homes", "confirmation": said}
        if kind == "shell":
            script = ("/bin/sh", "-c", f"echo ran >> {mark}")
            return ShellBody(names, bytes(32), user=USER, argv=script, terminal=False).to_json()
        if kind.startswith("cancel-"):
            return {"hostnames": names, "order_ids": [new_ulid(utc_now())]}
        return self.command_body(mark)

    def payload(self, kind: str = "command", mark: Path | None = None, **changes: Any) -> bytes:
        """Return an order's payload, valid now."""
        now = utc_now().replace(microsecond=0)
        fields: dict[str, Any] = {
            "issued_time": now,
            "not_before_time": now,
            "expires_time": now + min(timedelta(hours=1), longest(kind)),
            "id": new_ulid(now),
            "body": self.body(kind, mark or self.mark()),
        }
        if kind == "release":
            fields |= {"seq": self.next_release()}
        device = None if kind == "release" else self.device_id
        return self.fleet.order(device, kind, **(fields | changes))

    def next_release(self) -> int:
        """Return a number that is higher than every one before."""
        self._number += 1
        return self._number

    def signed(self, kind: str = "command", *names: str, **changes: Any) -> Envelope:
        """Return an order that operators signed, Alice if nobody else is named."""
        return self.fleet.sign(kind, self.payload(kind, **changes), *(names or ("alice",)))

    def refusals(self) -> list[str]:
        """Return why the device refused what it refused, by its own log."""
        return REFUSED.findall(self.agent.log())

    def refused(self, *envelopes: Envelope, seconds: float = 30) -> list[str]:
        """Send what has to be refused; return the reasons, and assert that nothing ran."""
        before, marks = len(self.refusals()), self.marks()
        self.server.send(*envelopes)
        eventually(lambda: len(self.refusals()) >= before + len(envelopes), seconds)
        assert self.marks() == marks
        return self.refusals()[before:]

    def code(self, envelope: Envelope) -> str:
        """Send an order that has to be refused; return the code on the device's receipt."""
        self.refused(envelope)
        receipt = self.server.final(order_id(envelope))
        assert receipt.state in {"refused", "expired"}, receipt
        return receipt.code

    def runs(self, envelope: Envelope, mark: Path, times: int = 1) -> None:
        """Send an order that has to be done, whatever was said of bad copies of it before."""
        self.server.send(envelope)
        eventually(lambda: "succeeded" in self.server.states(order_id(envelope)))
        assert mark.read_text() == "ran\n" * times

    def control(self) -> None:
        """Assert that a properly signed command is done, so that what was refused means something.

        It runs last: what was sent before it was judged by then, or its mark would be here soon.
        """
        mark = self.mark()
        self.runs(self.signed(mark=mark), mark)

    def history(self) -> list[dict[str, Any]]:
        """Return all orders that the device took or refused, as its user sees them."""
        said = json.loads(self.agent.run("history", "-o", "json"))
        return list(said["orders"]) if isinstance(said, dict) else list(said)


def longest(kind: str) -> timedelta:
    """Return how long an order of a kind may be valid, any time for one that nobody knows."""
    return KINDS[kind].longest if kind in KINDS else timedelta.max


def order_id(envelope: Envelope) -> str:
    """Return the id that a payload claims."""
    return str(json.loads(envelope.payload)["id"])


@contextmanager
def world_of(fleet: Fleet, *, settings: str = SETTINGS) -> Iterator[World]:
    """Lend a world with a running device; everything is ended and removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="pd", dir="/tmp"))
    agent = AgentProcess(folder, settings=settings)
    try:
        with TakenServer(fleet) as server:
            world = World(fleet, server, agent, folder)
            world.begin()
            yield world
            agent.stop()
    finally:
        agent.stop()
        shutil.rmtree(folder, ignore_errors=True)
