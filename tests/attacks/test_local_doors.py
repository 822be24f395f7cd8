"""Another user of the server's or of the device's machine, at the doors that are files.

penguind has no administrative socket: its files and its database's socket are what lets an
administrator in, and so what has to be closed.
"""

import socket

import psutil
import pytest

from penguind.mongod.child import socket_uri
from tests.attacks.kit import neighbour
from tests.harness.process import wait_until
from tests.harness.server import NOBODY

pytestmark = [
    pytest.mark.root,
    pytest.mark.timeout(120),
]
DENIED = {"PermissionError"}
PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"


@pytest.fixture(scope="module")
def reachable(fleet):
    """Open the folders that the harness keeps closed, so that only the product's own are."""
    folder = fleet.server.folder
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o700)


@pytest.fixture(scope="module")
def agent(fleet):
    made = fleet.device(plugins=fleet.plugins(one=PLUGIN), token=fleet.alice.token())
    fleet.wait_for_report(made)
    made.folder.chmod(0o755)
    return made


def sockets(folder):
    """Return the Unix sockets below a folder."""
    return [path for path in folder.rglob("*") if path.is_socket()]


def test_sockets_of_the_server(reachable, state_dir):
    found = sockets(reachable)
    assert socket_uri(state_dir)
    assert found
    assert neighbour.connect(found) == DENIED
    assert neighbour.connect(found, uid=NOBODY) == {""}


def test_files_of_the_server(reachable, state_dir):
    config = reachable / "penguind.toml"
    names = ("authority/device-ca-key.pem", "authority/operator-ca-key.pem", "tls/server-key.pem")
    secrets = [*(state_dir / name for name in names), state_dir / "authority/anchor-key.pem"]
    data = list((state_dir / "mongo/data").glob("*.wt"))
    assert data
    assert neighbour.open_files([*secrets, *data, config]) == DENIED
    assert "" in neighbour.open_files(secrets, uid=NOBODY)
    assert neighbour.open_files([config], uid=NOBODY) == {""}


def test_server_listens_nowhere_else(fleet):
    """No abstract sockets and no further ports: only what the table of listeners says."""
    server = psutil.Process(fleet.server.process.pid)
    ours = [server, *server.children(recursive=True)]
    listening = {
        connection.laddr.port
        for process in ours
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {fleet.server.main_port, fleet.server.bootstrap_port}
    unix = {c.laddr for process in ours for c in process.net_connections("unix") if c.laddr}
    assert all(str(address).startswith(str(fleet.server.folder)) for address in unix)


def test_files_of_a_device(agent):
    state = agent.folder / "state"
    secrets = [path for path in state.rglob("*") if path.is_file()]
    assert any(path.name == "key.pem" for path in secrets)
    assert neighbour.open_files(secrets) == DENIED


def test_control_socket_of_a_device(agent):
    """Everybody may ask how it is; only root may have it stopped or made to work."""
    (door,) = sockets(agent.folder)
    status = neighbour.ask(door, {"verb": "status"})
    assert status["result"]["running"]
    assert "PRIVATE" not in str(status)
    for verb in ("stop", "collect-now", "reload"):
        answer = neighbour.ask(door, {"verb": verb})
        assert "error" in answer, verb
    for request in ({}, {"verb": ["stop"]}, {"verb": "stop", "uid": 0}, {"verb": "__class__"}):
        assert "error" in neighbour.ask(door, request)
    assert agent.process.is_running()
    assert agent.status()["running"]


def test_control_socket_flooded_by_a_neighbour(agent):
    """Sixteen who say nothing do not keep root out for good."""
    (door,) = sockets(agent.folder)
    silent = [socket.socket(socket.AF_UNIX) for _ in range(64)]
    try:
        for one in silent:
            one.connect(str(door))
        assert agent.process.is_running()
    finally:
        for one in silent:
            one.close()
    wait_until(lambda: agent.status()["running"], 20, "it does not answer any more")


def test_root_may_stop_it(agent):
    """The control: the verb that was refused to a neighbour works."""
    (door,) = sockets(agent.folder)
    assert "result" in neighbour.ask(door, {"verb": "stop"}, uid=0)
    assert agent.process.wait(20) == 0
    agent.process = None
