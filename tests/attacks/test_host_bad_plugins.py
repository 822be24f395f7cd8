"""Plugins that attack the machine: the daemon keeps its stream, answers, and names them.

The bombs are bounded by themselves: this machine is shared.
"""

import contextlib
import json
import time

import psutil
import pytest

from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(240)

SETTINGS = """
[run]
deadline_seconds = 4
"""
FORKS = """#!/usr/bin/env python3
import os, time
end = time.monotonic() + 20
for _ in range(150):
    if os.fork() == 0:
        while time.monotonic() < end:
            time.sleep(0.1)
        os._exit(0)
    time.sleep(0.01)
time.sleep(20)
"""
HOARDS = """#!/usr/bin/env python3
blocks = [bytearray(1 << 30) for _ in range(10)]
print(len(blocks))
"""
DAEMON = """#!/usr/bin/env python3
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
time.sleep(0.3)
print('{"left": "a daemon"}')
"""
# Whether each has to be named as failing: who leaves a daemon behind did answer.
BAD = {
    "forks": (FORKS, True),
    "hoards": (HOARDS, True),
    "endless": ("#!/bin/sh\nexec yes '{}'\n", True),
    "endless_errors": ("#!/bin/sh\nexec yes '{}' >&2\n", True),
    "deaf": ("#!/bin/sh\ntrap '' TERM INT HUP\nwhile :; do sleep 1; done\n", True),
    "closes": ("#!/bin/sh\nexec >&- 2>&- <&-\nsleep 60\n", True),
    "leaves": (DAEMON, False),
}
GOOD = "#!/bin/sh\nexec date +%s%N\n"
SECONDS = 12


@pytest.fixture(scope="module")
def laptop(fleet):
    scripts = {name: script for name, (script, _) in BAD.items()}
    agent = fleet.device(plugins=fleet.plugins(good=GOOD, **scripts), settings=SETTINGS)
    agent.enroll(fleet.alice.token())
    agent.start()
    yield agent
    agent.stop()


def outputs(fleet, agent):
    return {one["name"]: one for one in fleet.shown(agent)["outputs"]}


def offspring(agent):
    """Return the memory and the number of what runs below the daemon."""
    sizes = []
    for child in agent.process.descendants():
        with contextlib.suppress(psutil.NoSuchProcess):
            sizes.append(child.memory_info().rss)
    return sum(sizes), len(sizes)


def test_daemon_keeps_its_stream_and_answers_meanwhile(fleet, laptop):
    """Collect again and again, and look all the time from both ends."""
    fleet.wait_for_report(laptop, 90)
    connected = 0
    most_processes, most_memory = 0, 0
    slowest = 0.0
    fleet.alice.run("device", "collect", laptop.device_id())
    end = time.monotonic() + SECONDS
    # A slow machine gets the looks that a quick one takes in the same time.
    while time.monotonic() < end or connected < 4:
        assert fleet.shown(laptop)["device"]["connected"]
        connected += 1
        started = time.monotonic()
        said = laptop.status()
        slowest = max(slowest, time.monotonic() - started)
        assert said["running"]
        assert said["connected"]
        memory, number = offspring(laptop)
        most_memory, most_processes = max(memory, most_memory), max(number, most_processes)
    assert slowest < 20, "the daemon was kept from answering"
    # The attack did take place, and was bounded.
    assert 5 < most_processes < 150
    assert most_memory < 2 << 30
    assert psutil.Process(laptop.process.pid).memory_info().rss < 150 << 20
    assert "stumbled" not in laptop.log()


def test_status_issue_and_server_name_the_culprits(fleet, laptop):
    failing = {name for name, (_, named) in BAD.items() if named}
    wait_until(lambda: {*BAD, "good"} <= outputs(fleet, laptop).keys(), 60, "outputs are missing")
    found = outputs(fleet, laptop)
    assert found["good"]["status"] == "ok"
    assert found["leaves"]["status"] == "ok"
    assert {found[name]["status"] for name in failing} <= {"error", "timeout"}
    assert all(found[name]["reason"] for name in failing)
    said = laptop.run("status")
    assert all(name in said for name in failing)
    fleet.alice.run("issue", "audit", laptop.device_id())
    issues = fleet.alice.json("issue", "list", laptop.device_id(), "--name", "plugin-failing")
    (issue,) = issues["issues"]
    evidence = json.dumps(fleet.alice.json("issue", "show", issue["issue_id"]))
    assert all(name in evidence for name in failing)


def test_nothing_of_them_stays(laptop):
    wait_until(lambda: offspring(laptop)[1] == 0, 60, "something still runs")
    markers = {f"PD_PLUGIN_NAME={name}" for name in BAD}
    left = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            environ = {f"{key}={value}" for key, value in process.environ().items()}
            ours = str(laptop.folder) in process.environ().get("PD_VAR_DIR", "")
            left += [process.pid] if ours and environ & markers else []
    assert left == []


def test_orders_still_get_through(fleet, laptop):
    before = outputs(fleet, laptop)["good"]["value"]
    fleet.alice.run("device", "collect", laptop.device_id())
    wait_until(lambda: outputs(fleet, laptop)["good"]["value"] != before, 90, "no fresh output")
    assert fleet.shown(laptop)["device"]["connected"]
