"""A plugin that misbehaves is contained and named; the others go on."""

import json

import psutil
import pytest

from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(240)

GOOD = "#!/bin/sh\necho '{\"value\": 1}'\n"
BAD = {
    "hung": "#!/bin/sh\ntrap '' TERM\nsleep 600 & wait\n",
    "bomb": "#!/bin/sh\nwhile :; do sleep 600 & done\n",
    "endless": "#!/bin/sh\nexec head -c 1000000000 /dev/zero\n",
    "wrong": "#!/bin/sh\necho not JSON\n",
}
SETTINGS = """
[run]
deadline_seconds = 5
"""
# Written as plugins were for the original: an executable that prints JSON, by way of its library.
ORIGINAL = """#!/usr/bin/env python3
import json

from penguindome.client import get_setting

print(json.dumps({"answer": 42, "setting": get_setting("nothing:here", "none")}))
"""


def outputs(fleet, agent):
    return {output["name"]: output for output in fleet.shown(agent)["outputs"]}


def test_bad_plugins_are_named_and_the_good_one_reports(fleet, alice):
    scripts = {**BAD, "good": GOOD}
    agent = fleet.device(plugins=fleet.plugins(**scripts), settings=SETTINGS, token=alice.token())
    fleet.wait_for_report(agent, 90)
    wait_until(lambda: scripts.keys() <= outputs(fleet, agent).keys(), 60, "a plugin is missing")
    found = outputs(fleet, agent)
    assert found["good"]["status"] == "ok"
    assert {found[name]["status"] for name in BAD} <= {"error", "timeout"}
    assert all(found[name]["reason"] for name in BAD)
    alice.run("issue", "audit", agent.device_id())
    issues = alice.json("issue", "list", agent.device_id())["issues"]
    failing = next(issue for issue in issues if issue["name"] == "plugin-failing")
    evidence = json.dumps(alice.json("issue", "show", failing["issue_id"]))
    assert all(name in evidence for name in BAD)
    said = json.dumps(agent.status())
    assert all(name in said for name in BAD)
    assert agent.process.is_running()
    assert psutil.Process(agent.process.pid).memory_info().rss < 200 << 20


def test_plugin_of_the_original_runs_from_the_local_folder(fleet, alice):
    agent = fleet.device(plugins=fleet.plugins(good=GOOD))
    agent.add_local("answer.py", ORIGINAL)
    agent.enroll(alice.token())
    agent.start()
    fleet.wait_for_report(agent)
    found = outputs(fleet, agent)
    (local,) = [output for name, output in found.items() if name.startswith("answer")]
    assert local["status"] == "ok", local
    assert local["local"] is True
    assert local["value"]["answer"] == 42


def test_plugin_that_others_could_have_written_does_not_run(fleet, alice):
    agent = fleet.device(plugins=fleet.plugins(good=GOOD))
    agent.add_local("planted", GOOD).chmod(0o777)
    agent.enroll(alice.token())
    agent.start()
    fleet.wait_for_report(agent)
    found = outputs(fleet, agent)
    assert found.get("planted", {}).get("status") != "ok"
    assert "planted" in json.dumps(found["agent"])
