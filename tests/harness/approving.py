"""Devices that an operator approved, and their renewals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pymongo

from penguind.mongod.paths import socket_uri
from tests.harness.process import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.harness.agent import Agent
    from tests.harness.fleet import Fleet


def approved(fleet: Fleet, plugins: Path) -> Agent:
    """Return a device that alice let in by a signature on its key, and that was heard of."""
    agent = fleet.device(plugins=plugins)
    agent.enroll(fleet.alice.token("--approve"))
    agent.start()
    waiting = fleet.alice.json("device", "list", "--state", "pending")["devices"]
    fleet.alice.run("device", "approve", waiting[0]["device_id"], "--yes")
    wait_until(lambda: agent.status()["enrolled"], 30, "it is not let in")
    fleet.wait_for_report(agent)
    return agent


def renew(fleet: Fleet, agent: Agent) -> None:
    """Have a device renew its certificate, with a fresh key, as all do every few days."""
    device_id = agent.device_id()
    before = fleet.shown(agent)["device"]["key_fingerprint"]
    with pymongo.MongoClient(socket_uri(fleet.server.folder / "state")) as client:
        devices = client["penguindome"]["devices"]
        devices.update_one({"_id": device_id}, {"$set": {"serials": []}})

    def renewed() -> bool:
        fleet.alice.try_run("device", "collect", device_id)
        shown = fleet.shown(agent)["device"]
        return bool(shown["key_fingerprint"] != before and shown["connected"])

    wait_until(renewed, 60, "it does not renew")
