"""A fleet moves to another port: both serve for a while, and who stays behind is known."""

import json
import os
import signal

import pytest

from penguindome.tokens import decode_token
from tests.harness import ports
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


def lingering(fleet):
    """Return the open issues about deprecated ports, as penguinctl shows them, by device."""
    found = fleet.alice.json("issue", "list", "--name", "deprecated-port")["issues"]
    return {one["device_id"]: one for one in found}


def restart(fleet):
    fleet.server.stop()
    fleet.server.start()


def move(agent, port):
    """Let an agent dial another port, as a new address from its server would."""
    agent.stop()
    path = agent.folder / "state/identity/device.json"
    known = json.loads(path.read_text())
    path.write_text(json.dumps({**known, "main_port": port}))
    agent.start()


def test_a_fleet_moves_to_another_port(fleet):
    server, new = fleet.server, ports.free_port()
    agent = fleet.device(plugins=fleet.plugins(), token=fleet.alice.token())
    wait_until(lambda: fleet.shown(agent)["device"]["connected"], 30, agent.log())
    server.run("ports", "add", "new", "--kind", "main", "--port", new)
    server.run("ports", "configure", "main", "--deprecated")
    restart(fleet)
    wait_until(lambda: agent.device_id() in lingering(fleet), 30, "nobody noticed")
    issue = fleet.alice.json("issue", "show", lingering(fleet)[agent.device_id()]["issue_id"])
    assert issue["issue"]["evidence"]["listener"] == "main"
    assert issue["issue"]["evidence"]["port"] == server.main_port
    status = fleet.alice.json("server", "status")
    connected = {one["name"]: one["connected_devices"] for one in status["listeners"]}
    assert connected == {"main": 1, "bootstrap": 0, "new": 0}
    # New devices are told of the new port from now on.
    assert decode_token(fleet.alice.token()).main_port == new
    second = fleet.device(plugins=fleet.plugins(), token=fleet.alice.token())
    wait_until(lambda: fleet.shown(second)["device"]["connected"], 30, second.log())
    assert set(lingering(fleet)) == {agent.device_id()}
    move(agent, new)
    wait_until(lambda: not lingering(fleet), 30, "the issue stays open")
    assert "Traceback" not in server.log()


def test_the_issue_goes_when_the_mark_goes(fleet):
    server = fleet.server
    agent = fleet.agents[0]
    move(agent, server.main_port)
    restart(fleet)
    wait_until(lambda: agent.device_id() in lingering(fleet), 30, "nobody noticed")
    server.run("ports", "configure", "main", "--no-deprecated")
    restart(fleet)
    wait_until(lambda: not lingering(fleet), 30, "the issue stays open")


def test_all_listeners_end_when_the_server_is_told_to_stop(fleet):
    server = fleet.server
    found = [one["port"] for one in fleet.alice.json("server", "status")["listeners"]]
    assert len(found) == 3
    assert all(ports.listens(port) for port in found)
    os.kill(server.process.pid, signal.SIGTERM)
    wait_until(lambda: not server.process.is_running(), 15, server.log())
    assert not any(ports.listens(port) for port in found)
    assert "Stopped" in server.log().splitlines()[-1]
