"""The daemon installs releases and patches, reports what runs, and finds its way back."""

import json
import signal
import socket
from datetime import timedelta

import pytest

from penguindome.ids import new_ulid
from penguindome.names import clean_hostname
from penguindome.orders.bodies import PatchBody, PatchFile
from penguindome.orders.release_body import ReleaseBody, ReleaseSettings
from tests.attacks.kit.taken_server import TakenServer
from tests.penguin_agent.agent_process import eventually
from tests.penguin_agent.release_kit import entry, says

FAILS = b"#!/bin/sh\nexit 1\n"
SCRIPT = b"#!/bin/sh\necho it ran\n"


class Office:
    """Operators who sign, and the server that hands it over."""

    def __init__(self, server, agent):
        self.server = server
        self.agent = agent
        self.fleet = server.fleet

    def release(self, number, files, **settings):
        """Hand a release over; return its order's id."""
        entries = tuple(entry(path, data) for path, data in files.items())
        body = ReleaseBody(f"r{number}", entries, ReleaseSettings(**settings))
        return self._send("release", body, files, seq=number)

    def patch(self, files):
        """Hand a patch over; None removes a file."""
        device = self.server.device.device_id
        changes = tuple(
            PatchFile(path, data if data is None else entry(path, data))
            for path, data in files.items()
        )
        body = PatchBody({device: clean_hostname(socket.gethostname())}, changes)
        return self._send("patch", body, files, seq=None)

    def installed(self, number, files, **settings):
        receipt = self.server.final(self.release(number, files, **settings), 60)
        assert receipt.state == "succeeded", receipt

    def outputs(self):
        """Return what the server holds of the device, by plugin."""
        values = self.server.device.model.values
        return {name: json.loads(one) for name, one in values.items() if one}

    def _send(self, kind, body, files, *, seq):
        for data in files.values():
            if data is not None:
                self.server.keep(data)
        now = self.fleet.now
        order_id = new_ulid(now)
        payload = self.fleet.order(
            None if kind == "release" else self.server.device.device_id,
            kind,
            id=order_id,
            seq=seq,
            expires_time=now + timedelta(hours=2),
            body=body.to_json(),
        )
        self.server.send(self.fleet.sign(kind, payload, "alice"))
        return order_id


@pytest.fixture
def server(fleet):
    with TakenServer(fleet) as server:
        yield server


@pytest.fixture
def office(agent, server):
    agent.enroll(server.token())
    agent.start()
    eventually(lambda: server.device.model.stored)
    return Office(server, agent)


def test_a_release_takes_the_place_of_the_packages_plugins(office, server, agent):
    order_id = office.release(7, {"plugins/one": says("one"), "commands/hi": SCRIPT})
    assert server.final(order_id, 60).state == "succeeded"
    eventually(lambda: set(office.outputs()) == {"agent", "one"})
    assert office.outputs()["one"] == "one"
    eventually(lambda: office.outputs()["agent"].get("release") == 7)
    assert server.device.checkins[-1].release == 7
    parts = {one.part: one.state for one in server.receipts[order_id] if one.part}
    assert parts == {"commands/hi": "succeeded"}
    eventually(lambda: server.output[order_id] == b"it ran\n")
    assert agent.status()["release"] == {
        "name": "7",
        "label": "r7",
        "altered": [],
        "on_trial": False,
        "sealed": True,
        "scripts": {},
    }
    assert "7, r7" in agent.run("status")


def test_a_release_whose_plugins_fail_is_taken_back_and_told(office, server):
    office.installed(1, {"plugins/hello": says("one")})
    receipt = server.final(office.release(2, {"plugins/hello": FAILS}), 60)
    assert (receipt.state, receipt.code) == ("failed", "gate-plugins")
    assert receipt.details["returned_to"] == "1"
    assert receipt.details["plugins"] == ["hello"]
    eventually(lambda: server.device.checkins[-1].release == 1)
    eventually(lambda: office.outputs().get("hello") == "one")


def test_a_release_on_trial_is_taken_back_at_the_third_start(office, server, agent):
    office.installed(1, {"plugins/hello": says("one")})
    # A plugin that takes its time holds the trial open while the agent is killed.
    slow = b"#!/bin/sh\nsleep 20\necho 1\n"
    order_id = office.release(2, {"plugins/hello": slow})
    eventually(lambda: agent.status().get("release", {}).get("on_trial"))
    for _start in range(3):
        agent.daemon.kill()
        agent.ended()
        agent.start()
        eventually(lambda: agent.status().get("connected"))
    receipt = server.final(order_id, 60)
    assert (receipt.state, receipt.code) == ("failed", "gate-starts")
    assert agent.status()["release"]["name"] == "1"


POINTS = ("release.linked", "release.gate-written", "release.switched", "release.script-ran")


@pytest.mark.parametrize("point", POINTS)
def test_a_release_goes_on_after_a_crash(office, server, agent, point):
    agent.stop()
    agent.start(PD_FAILPOINT=point)
    eventually(lambda: agent.status().get("connected"))
    order_id = office.release(1, {"plugins/one": says("one"), "commands/hi": SCRIPT})
    assert agent.ended() == -signal.SIGKILL
    agent.start()
    receipt = server.final(order_id, 60)
    assert receipt.state == "succeeded", receipt
    (part,) = [one for one in server.receipts[order_id] if one.part and one.is_final]
    assert part.state == ("interrupted" if point == "release.script-ran" else "succeeded")
    eventually(lambda: set(office.outputs()) == {"agent", "one"})


def test_a_release_sets_intervals_and_turns_plugins_off_also_after_a_restart(office, agent):
    files = {"plugins/one": says("one"), "plugins/two": says("two")}
    office.installed(3, files, disabled_plugins=("two",), collect_interval_seconds=7200)
    eventually(lambda: set(office.outputs()) == {"agent", "one"})
    agent.stop()
    agent.start()
    eventually(lambda: agent.status().get("connected"))
    assert agent.status()["collect_interval_seconds"] == 7200
    assert agent.status()["problems"] == []


def test_a_patch_is_reported_and_so_is_what_was_altered(office, server, agent):
    office.installed(1, {"plugins/one": says("one"), "plugins/two": says("two")})
    order_id = office.patch({"plugins/one": says("patched"), "plugins/two": None})
    assert server.final(order_id).details["release"] == "1.1"
    eventually(lambda: office.outputs().get("one") == "patched")
    eventually(lambda: set(office.outputs()) == {"agent", "one"})
    (agent.state / "releases/1.1/plugins/one").write_bytes(says("altered"))
    agent.run("collect", "one", code=1)  # not there any more
    assert "altered: plugins/one" not in agent.run("status")  # the daemon has not run it since
    agent.stop()
    agent.start()
    eventually(lambda: office.outputs()["agent"]["altered"] == ["plugins/one"])
    assert "altered: plugins/one" in agent.run("status")


def test_root_goes_back_by_hand(office, agent):
    office.installed(1, {"plugins/one": says("one")})
    office.installed(2, {"plugins/two": says("two")})
    assert "systemctl stop penguin-agent" in agent.run("release", "rollback", code=6)
    agent.stop()
    assert "release 1 is in force" in agent.run("release", "rollback")
    assert '"one"' in agent.run("collect", "one")
    assert "the package's own release" in agent.run("release", "rollback")
    agent.run("release", "rollback", code=6)
    assert '"hello": 1' in agent.run("collect", "hello")
    agent.start()
    eventually(lambda: set(office.outputs()) == {"agent", "hello"})


def test_leaving_the_fleet_takes_its_releases_along(office, agent):
    office.installed(1, {"plugins/one": says("one")})
    agent.stop()
    agent.run("unenroll")
    assert not (agent.state / "releases").exists()
