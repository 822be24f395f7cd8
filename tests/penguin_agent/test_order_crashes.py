"""kill -9 at every point of an order's way: it is done at most once, and its end is told."""

import json
import signal
from datetime import timedelta

import pytest

from penguindome.ids import new_ulid
from penguindome.orders.bodies import CommandBody
from penguindome.times import utc_now
from tests.penguin_agent.agent_process import eventually
from tests.penguin_agent.order_device import ME
from tests.penguin_agent.simulated_services import wire
from tests.penguin_agent.test_order_commands import alive

# What it is known to have been afterwards: begun or not, and whether its end was written down.
POINTS = {
    "orders.judged": ("succeeded", 1),
    "orders.accepting": ("succeeded", 1),
    "orders.accepted": ("succeeded", 1),
    "orders.running": ("interrupted", 0),
    "orders.launching": ("interrupted", 0),
    "orders.output-written": ("interrupted", 1),
    "orders.program-ended": ("interrupted", 1),
    "orders.acted": ("interrupted", 1),
    "orders.finishing": ("interrupted", 1),
    "orders.finished": ("succeeded", 1),
    "orders.handed-in": ("", 1),
    "orders.acknowledged": ("", 1),
}


def command(simulator, hostname, *argv, **body):
    """Return a signed command for the only device."""
    device = simulator.device.device_id
    now = utc_now().replace(microsecond=0)
    payload = simulator.fleet.order(
        device,
        "command",
        id=new_ulid(now),
        issued_time=now,
        not_before_time=now,
        expires_time=now + timedelta(hours=1),
        body=CommandBody({device: hostname}, "mark", argv, **{"user": ME, **body}).to_json(),
    )
    return simulator.fleet.sign("command", payload, "alice")


def send(simulator, envelope):
    """Push an order as the server does at each check-in, until it is heard of."""
    simulator.push(envelope=wire(envelope))


def checked_in(simulator, count):
    eventually(lambda: len(simulator.device.confirmed) >= count)


def last_state(simulator):
    states = [one.state for one in simulator.device.receipts]
    return states[-1] if states else ""


@pytest.fixture
def hostname(agent, simulator):
    agent.enroll(simulator.token())
    return simulator.device.hostname


@pytest.mark.parametrize("point", POINTS)
def test_a_command_survives_a_crash(agent, simulator, hostname, point):
    wanted, times = POINTS[point]
    mark = agent.folder / "mark"
    envelope = command(simulator, hostname, "/bin/sh", "-c", f"echo x >> {mark}; echo out")
    agent.start(PD_FAILPOINT=point)
    checked_in(simulator, 1)
    send(simulator, envelope)
    assert agent.ended() == -signal.SIGKILL
    agent.start()
    checked_in(simulator, 2)
    send(simulator, envelope)
    eventually(lambda: last_state(simulator) in {"succeeded", "interrupted"})
    finals = {one.state for one in simulator.device.receipts if one.is_final}
    assert finals == {wanted} if wanted else len(finals) == 1
    ran = mark.read_text().count("x") if mark.exists() else 0
    # A program that was killed right after its first output may not have come further.
    assert ran == times or (point == "orders.launching" and ran <= 1)
    # What is asked again is answered, and not done again.
    count = len(simulator.device.receipts)
    send(simulator, envelope)
    eventually(lambda: len(simulator.device.receipts) > count)
    assert (mark.read_text().count("x") if mark.exists() else 0) == ran
    if finals == {"succeeded"}:
        eventually(lambda: simulator.device.output.get("stdout") == b"out\n")


def test_a_killed_agent_leaves_no_command_running(agent, simulator, hostname):
    envelope = command(
        simulator, hostname, "/bin/sh", "-c", "echo kept; setsid sleep 97531 & sleep 97532"
    )
    agent.start()
    checked_in(simulator, 1)
    send(simulator, envelope)
    eventually(lambda: simulator.device.output.get("stdout") == b"kept\n")
    agent.daemon.kill()
    assert agent.ended() == -signal.SIGKILL
    assert len(alive("9753")) >= 2
    agent.start()
    eventually(lambda: last_state(simulator) == "interrupted")
    assert simulator.device.receipts[-1].stdout_bytes == len("kept\n")
    assert not alive("9753")


def test_an_order_goes_the_whole_way(agent, simulator, hostname):
    agent.start()
    checked_in(simulator, 1)
    assert "orders-1" in simulator.device.checkins[-1].capabilities
    assert agent.run("history") == "Nobody has ordered anything of this device yet.\n"
    send(simulator, command(simulator, hostname, "echo", "hello"))
    eventually(lambda: last_state(simulator) == "succeeded")
    eventually(lambda: simulator.device.output.get("stdout") == b"hello\n")
    assert "alice, a test: succeeded" in agent.run("history")
    order_id = simulator.device.receipts[-1].order_id
    assert "exit code" in agent.run("history", order_id[:12])
    agent.stop()
    assert order_id in agent.run("history")


def test_the_output_agent_tells_of_forgeries_and_what_is_forbidden(agent, simulator):
    agent.config.write_text(agent.config.read_text() + "[allow]\nwipe = false\n")
    agent.enroll(simulator.token())
    agent.start()
    checked_in(simulator, 1)
    assert list(simulator.device.checkins[-1].denied) == ["wipe"]
    forged = command(simulator, simulator.device.hostname, "true")
    simulator.push(envelope=wire(type(forged)(forged.kind, forged.payload, (b"x",))))
    eventually(lambda: last_state(simulator) == "refused")
    simulator.push(collect_now={"plugins": ["agent"], "request_id": "r1"})

    def told():
        output = json.loads(simulator.device.model.values.get("agent", b"null"))
        return output if output and output["refused_orders"]["count"] == 1 else None

    words = eventually(told)
    assert words["denied"] == ["wipe"]
    assert "signature" in words["refused_orders"]["reason"]
