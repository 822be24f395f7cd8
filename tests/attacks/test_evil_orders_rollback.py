"""A server's database goes back in time: devices do nothing twice, and operators are told."""

from __future__ import annotations

import getpass
import json

import pytest

from tests.attacks.kit.database import StolenDatabase
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(240)
ME = getpass.getuser()


def ordered(fleet, device_id, mark):
    """Order a command that leaves a mark each time it runs; return the order's id."""
    words = ("run", device_id, "--user", ME, "--yes", "--detach", "-o", "json")
    done = fleet.alice.try_run(*words, "--", f"echo ran >> {mark}")
    return json.loads(done.stdout)["order_id"]


def state(fleet, order_id):
    (target,) = fleet.alice.json("command", "show", order_id)["targets"]
    return target["state"]


class RecordsPutBack:
    """As somebody with the database does it, who knows that devices would be taken for copies."""

    said = "was verified"

    def __init__(self, server):
        self.server = server
        database = StolenDatabase(server.folder / "state")
        names = database.records.list_collection_names(filter={"type": "collection"})
        self.copy = {name: list(database.records[name].find()) for name in names}
        database.close()

    def back(self):
        database = StolenDatabase(self.server.folder / "state")
        for name in database.records.list_collection_names(filter={"type": "collection"}):
            if name != "ratchets":
                database.records[name].delete_many({})
                if self.copy.get(name):
                    database.records[name].insert_many(self.copy[name])
        database.close()
        self.server.stop()
        self.server.start()


class Restored:
    """As an administrator does it, who has to."""

    said = "the server was restored"

    def __init__(self, server):
        self.server = server
        self.backup = server.folder / "fleet.backup"
        server.run("backup", self.backup)

    def back(self):
        self.server.stop()
        self.server.run("restore", self.backup, "--yes", "--replace")
        self.server.start()


@pytest.mark.parametrize("way", [RecordsPutBack, Restored])
def test_an_older_database_has_nothing_done_again_and_is_noticed(way):
    with Fleet() as fleet:
        quiet = fleet.plugins(nothing="#!/bin/sh\necho 1\n")
        agent = fleet.device(plugins=quiet, token=fleet.alice.token())
        fleet.wait_for_report(agent)
        other = fleet.device(plugins=quiet, token=fleet.alice.token())
        fleet.wait_for_report(other)
        device_id, other_id = agent.device_id(), other.device_id()
        mark, later_mark = fleet.folder / "mark", fleet.folder / "later"
        agent.stop()
        order_id = ordered(fleet, device_id, mark)
        assert state(fleet, order_id) == "queued"
        then = way(fleet.server)
        agent.start()
        wait_until(lambda: state(fleet, order_id) == "succeeded", 40, "the order was not done")
        later = ordered(fleet, device_id, later_mark)
        wait_until(lambda: state(fleet, later) == "succeeded", 40, "the later order was not done")
        fleet.alice.run("device", "revoke", other_id, "--reason", "stolen", "--yes")
        fleet.alice.run("ledger", "verify")
        then.back()
        # The order that was queued then is handed over again, and answered from memory.
        wait_until(lambda: state(fleet, order_id) == "succeeded", 60, "nobody answered")
        assert mark.read_text() == later_mark.read_text() == "ran\n"
        # The revoked device is active again: the ledger's head is what tells.
        assert fleet.shown(other)["device"]["state"] == "active"
        done = fleet.alice.try_run("ledger", "verify")
        assert done.returncode != 0
        assert then.said in done.stderr
        # The control: what is new is done.
        fresh = fleet.folder / "fresh"
        last = ordered(fleet, device_id, fresh)
        wait_until(lambda: state(fleet, last) == "succeeded", 40, "the fresh order was not done")
        assert fresh.read_text() == "ran\n"
        assert mark.read_text() == later_mark.read_text() == "ran\n"
