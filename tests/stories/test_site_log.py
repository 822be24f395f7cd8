"""Both daemons log to a site's syslog, which dies while they work."""

from __future__ import annotations

import socket
import time

import pytest

from tests.harness.fleet import Fleet
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(180)

PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"
AGENT = """
[logging]
handler = "syslog"
syslog_host = "127.0.0.1"
syslog_port = {port}
syslog_protocol = "udp"
"""


@pytest.fixture
def fleet():
    made = Fleet()
    try:
        made.server.setup()
        yield made
    finally:
        made.close()


def log_to(server, port):
    text = server.config.read_text()
    more = f'handler = "syslog"\nsyslog_host = "127.0.0.1"\nsyslog_port = {port}'
    assert 'handler = "stderr"' in text
    server.config.write_text(text.replace('handler = "stderr"', more))


def test_both_go_on_without_it(fleet):
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        port = server.getsockname()[1]
        log_to(fleet.server, port)
        fleet.server.start()
        connection, _ = server.accept()
        connection.settimeout(10)
        with connection, connection.makefile("rb") as lines:
            assert any(b" penguind " in line and b"Serving" in line for line in lines)
    alice = fleet.operator("alice", fleet.server.invitation)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(20)
        more = AGENT.format(port=listener.getsockname()[1])
        agent = fleet.device(
            plugins=fleet.plugins(example=PLUGIN), settings=more, token=alice.token()
        )
        assert b" penguin-agent " in listener.recv(65536)
    fleet.wait_for_report(agent)
    began = time.monotonic()
    alice.run("device", "revoke", agent.device_id(), "--yes", "--reason", "lost")
    alice.run("device", "list")
    assert time.monotonic() - began < 10
    away = f"syslog at 127.0.0.1:{port}/tcp is away"
    fleet.server.process.wait_until(lambda: away in fleet.server.log(), 20, "no word of it")
    fleet.server.stop()
    assert "Stopped" in fleet.server.log()
    wait_until(lambda: "syslog at" in agent.log(), 30, "the agent says nothing")


def test_one_that_hangs_holds_nobody_up(fleet):
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        server.bind(("127.0.0.1", 0))
        server.listen()
        log_to(fleet.server, server.getsockname()[1])
        fleet.server.start()
        alice = fleet.operator("alice", fleet.server.invitation)
        began = time.monotonic()
        for _ in range(10):
            alice.run("device", "list")
        assert time.monotonic() - began < 20
        fleet.server.stop()
