"""A disposable machine that is enrolled, and orders to wipe it, signed by two operators."""

import json
import pathlib
import sys
from dataclasses import asdict
from typing import Any

from penguin_agent.environment import package_folders, restart_command
from penguin_agent.identity import Device
from penguindome.envelope import Envelope
from penguindome.envelope_json import to_json
from penguindome.orders.bodies import WipeBody
from penguindome.payload import read_payload
from tests.harness.disposable import HOSTNAME, Disposable, Listing
from tests.penguindome.signing import Fleet

DEVICE_ID = "d-abcdefghijklmnop"
STATE = "/var/lib/penguin-agent"
ENVELOPE = "/run/envelope.json"
ACT = "tests.harness.wipe_act"
PEOPLE = """
useradd --create-home --uid 1001 alice
useradd --create-home --uid 1002 bob
mkdir -p /home/alice/deep/deeper
echo secret > /home/alice/deep/deeper/file
ln -s /etc /home/alice/to-etc
echo secret > /home/bob/file
chown -hR alice: /home/alice
chown -hR bob: /home/bob
chown alice: /home/alice
"""
# What a wipe changes besides homes: accounts, and its own folder.
ACCOUNTS = {
    f"/etc/{name}{end}"
    for name in ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")
    for end in ("", "-")
}
OWN = (f"{STATE}/wipe", ENVELOPE)


class Doomed(Disposable):
    """One such machine."""

    def __init__(self, fleet: Fleet) -> None:
        """Start it, enrolled in a fleet whose wipes need two operators."""
        super().__init__()
        self.fleet = fleet
        self.order_id = ""
        device = Device(DEVICE_ID, fleet.id, "server.example.org", 1, 2, "", "00" * 32)
        self.put(f"{STATE}/identity/device.json", json.dumps(asdict(device)).encode())
        trust = fleet.publish(fleet.document("alice", "bob", threshold=2), "alice", "bob")
        self.put(f"{STATE}/trust/1.json", to_json(trust))
        self.path(STATE).chmod(0o700)

    def ordered(self, level: str, kind: str = "wipe", *signers: str, **changes: Any) -> Envelope:
        """Put an order there, for the act; by alice and bob if nobody else is named."""
        confirmation = f"{DEVICE_ID} {HOSTNAME}" if kind == "wipe" else ""
        reboot = changes.pop("reboot", False)
        body = WipeBody({DEVICE_ID: HOSTNAME}, level, confirmation, reboot=reboot)
        fields: dict[str, Any] = {"body": body.to_json()} | changes
        payload = self.fleet.order(DEVICE_ID, kind, **fields)
        envelope = self.fleet.sign(kind, payload, *(signers or ("alice", "bob")))
        self.order_id = read_payload(payload).id
        self.put(ENVELOPE, to_json(envelope))
        return envelope

    def act_words(self, verb: str = "run") -> list[str]:
        """Return the words that run the act on the order that was put there."""
        return self.words(sys.executable, "-B", "-m", ACT, verb, STATE, ENVELOPE)

    def act(self, verb: str = "run") -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """Run the act to its end; return what it told meanwhile, and the outcome."""
        lines = self.run(sys.executable, "-B", "-m", ACT, verb, STATE, ENVELOPE).splitlines()
        *told, last = map(json.loads, lines)
        return [one["running"] for one in told], last["outcome"]

    def entry_words(self, order_id: str = "") -> list[str]:
        """Return the words that run the wiping process, as the agent does."""
        arguments = [STATE, order_id or self.order_id]
        return restart_command(arguments, package_folders(), "penguin_agent.wipe.entry")

    def job(self, name: str) -> pathlib.Path:
        """Return a file of the order's folder."""
        return self.path(f"{STATE}/wipe/{self.order_id}/{name}")


def changed(before: Listing, after: Listing) -> tuple[set[str], set[str]]:
    """Return the paths that are gone, and those that are new or other, but for the wipe's own."""
    gone = {path for path in before if path not in after}
    other = {path for path in after if before.get(path) != after[path]} - ACCOUNTS
    return gone, {path for path in other if not path.startswith(OWN)}


def dry_run(machine: Doomed, level: str = "erase-homes") -> dict[str, Any]:
    """Return what a wipe would do."""
    machine.ordered(level, "wipe-plan", "alice")
    _, outcome = machine.act()
    assert outcome["state"] == "succeeded"
    return dict(outcome["details"]["plan"])


def wiped(machine: Doomed, level: str = "erase-homes") -> tuple[list[dict[str, Any]], Any]:
    """Wipe; return what was told meanwhile, and the outcome."""
    machine.ordered(level)
    return machine.act()
