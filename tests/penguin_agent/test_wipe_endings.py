"""Wipes that are cut off, called off or begun again, and machines that go down in the end."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest

from penguin_agent.wipe.job import Job
from penguindome.envelope_json import to_json
from tests.harness.doomed import PEOPLE, STATE, Doomed, changed, wiped
from tests.harness.process import wait_until

pytestmark = pytest.mark.root


@pytest.fixture
def machine(fleet):
    with Doomed(fleet) as one:
        one.shell(PEOPLE)
        yield one


def test_a_wipe_outlives_the_agent_and_is_taken_up_by_the_next(machine):
    machine.ordered("erase-homes")
    agent = subprocess.Popen(machine.act_words(), stdout=subprocess.PIPE, text=True)
    assert json.loads(agent.stdout.readline()) == {"running": {}, "part": ""}
    wait_until(machine.job("begun").exists, 30, "it did not begin")
    inside = machine.run("pgrep", "-f", "harness.wipe_act").split()
    machine.run("kill", "-KILL", *inside)
    agent.communicate(timeout=60)
    assert machine.try_run("pgrep", "-f", "penguin_agent.wipe.entry").returncode == 0
    _, outcome = machine.act("resume")
    assert outcome["state"] == "succeeded", outcome
    assert not machine.path("/home/alice").exists()


def test_an_order_is_never_started_twice(machine):
    _, first = wiped(machine)
    assert first["state"] == "succeeded"
    machine.shell(PEOPLE)
    before = machine.listing()
    assert machine.try_run(*machine.entry_words()).stderr.endswith("was begun before\n")
    for verb in ("run", "resume"):
        _, again = machine.act(verb)
        assert again == first
    gone, other = changed(before, machine.listing())
    assert (gone, other) == (set(), set())


def test_a_power_cut_before_the_point_of_no_return_harms_nothing(machine):
    envelope = machine.ordered("erase-homes")
    before = machine.listing()
    machine.put(f"{STATE}/wipe/{machine.order_id}/order.json", to_json(envelope))
    wiper = subprocess.Popen(machine.words(*machine.entry_words()))
    wait_until(machine.job("progress.json").exists, 30, "it planned nothing")
    machine.run("pkill", "-KILL", "-f", "penguin_agent.wipe.entry")
    wiper.wait(60)
    told, outcome = machine.act("resume")
    assert outcome["state"] == "interrupted"
    assert outcome["details"]["phase"] == "planned"
    assert told[-1]["phase"] == "planned"
    assert changed(before, machine.listing()) == (set(), set())
    assert machine.try_run(*machine.entry_words()).returncode == 1


def test_a_wipe_that_was_cut_off_tells_what_was_done(machine):
    machine.shell("cd /home/bob; seq 1 60000 | xargs touch; chown -R bob: .")
    machine.ordered("erase-homes")
    agent = subprocess.Popen(machine.act_words(), stdout=subprocess.PIPE, text=True)
    for line in agent.stdout:
        done = json.loads(line)["running"].get("done", {}).get("steps", {})
        if done.get("erase-home") == 1:
            break
    machine.run("pkill", "-KILL", "-f", "penguin_agent.wipe.entry")
    *_, last = agent.stdout
    agent.communicate(timeout=60)
    outcome = json.loads(last)["outcome"]
    assert outcome["state"] == "interrupted"
    assert outcome["details"]["phase"] == "erasing-homes"
    assert [one["path"] for one in outcome["details"]["done"]["erased_homes"]] == ["/home/alice"]
    assert not machine.path("/home/alice").exists()
    assert machine.path("/home/bob").exists()


def test_a_wipe_that_is_called_off_before_the_point_of_no_return_wipes_nothing(machine):
    envelope = machine.ordered("erase-homes", reboot=True)
    before = machine.listing()
    machine.put(f"{STATE}/wipe/{machine.order_id}/order.json", to_json(envelope))
    wiper = subprocess.Popen(machine.words(*machine.entry_words()))
    wait_until(machine.job("progress.json").exists, 30, "it planned nothing")
    assert Job(machine.path(STATE), machine.order_id).call_off()
    _, outcome = machine.act("resume")
    assert (outcome["state"], outcome["code"]) == ("cancelled", "called-off")
    assert wiper.wait(60) == 0
    assert changed(before, machine.listing()) == (set(), set())


def test_a_wipe_that_is_over_cannot_be_called_off(machine):
    wiped(machine, "lock")
    assert not Job(machine.path(STATE), machine.order_id).call_off()


def test_a_wipe_whose_act_is_cancelled_at_once_never_begins(machine):
    machine.ordered("erase-homes", reboot=True)
    before = machine.listing()
    _, outcome = machine.act("run-until-running")
    assert outcome["state"] == "cancelled"
    assert changed(before, machine.listing()) == (set(), set())
    _, outcome = machine.act("resume")
    assert (outcome["state"], outcome["code"]) == ("cancelled", "called-off")


def test_a_wipe_under_way_is_not_cancelled_and_told_as_it_ends(machine):
    machine.shell("cd /home/bob; seq 1 60000 | xargs touch; chown -R bob: .")
    machine.ordered("erase-homes")
    told, outcome = machine.act("run-until-erasing-homes")
    assert "erasing-homes" in [one.get("phase") for one in told]
    assert outcome["state"] == "succeeded"
    assert not machine.path("/home/bob").exists()


def test_an_agent_that_cannot_keep_what_happens_still_tells_the_end(machine):
    machine.ordered("lock")
    _, outcome = machine.act("run-full")
    assert outcome["state"] == "succeeded"


def test_an_order_that_was_never_prepared_is_not_begun_by_resuming(machine):
    machine.ordered("erase-homes")
    before = machine.listing()
    _, outcome = machine.act("resume")
    assert (outcome["state"], outcome["code"]) == ("interrupted", "not-started")
    assert changed(before, machine.listing()) == (set(), set())


@pytest.mark.parametrize(
    ("level", "number"), [("lock", signal.SIGHUP), ("crypto-erase", signal.SIGINT)]
)
def test_the_machine_goes_down_once_the_receipt_is_delivered(machine, level, number):
    # Process 1 of such a machine dies of SIGHUP by a restart, of SIGINT by switching off.
    machine.ordered(level, reboot=True)
    begun = time.monotonic()
    # It takes the agent along as soon as that said that the receipt is delivered.
    subprocess.run(machine.act_words(), stdout=subprocess.DEVNULL, timeout=60, check=False)
    assert machine.wait_until_down() in (-number, 128 + number)
    assert time.monotonic() - begun < 60
