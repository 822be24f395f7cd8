"""A device renews its key: what it signed before stays its word, and who approved it did so."""

import subprocess

import pytest

from tests.harness.approving import approved, renew
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until
from tests.stories.shells import env_of, run, shell_words

# It has news at each look, so that the device makes calls.
CLOCK = "#!/bin/sh\nexec date +'{\"now\": %s%N}'\n"
pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture(scope="module")
def agent(fleet):
    return approved(fleet, fleet.plugins(clock=CLOCK))


def restarted(fleet, agent):
    """Start the agent anew: one that runs renews at most once in a quarter of an hour."""
    agent.stop()
    agent.start()
    wait_until(lambda: fleet.shown(agent)["device"]["connected"], 30, "it does not come back")


def newest(alice):
    (session,) = alice.json("session", "list", "--limit", "1")["sessions"]
    show = ("session", "show", session["session_id"])
    wait_until(lambda: alice.json(*show)["complete"], 60, "the recording is not whole")
    return session["session_id"]


def test_what_was_recorded_before_renewals_is_verified_after_them(fleet, agent):
    alice, device = fleet.alice, agent.device_id()
    first = fleet.shown(agent)["device"]["key_fingerprint"]
    done = run(alice, device, "--", "echo one")
    assert (done.returncode, done.stderr) == (0, b"")
    session = newest(alice)
    now = alice.json("session", "verify", session)
    assert now["keys"] == [{"fingerprint": first, "until_time": None}]
    assert (now["approved_by"], now["renewals"]) == (["alice"], 0)

    renew(fleet, agent)
    restarted(fleet, agent)
    renew(fleet, agent)
    later = alice.json("session", "verify", session)
    assert (later["good"], later["approved_by"], later["renewals"]) == (True, ["alice"], 2)
    assert [one["fingerprint"] for one in later["keys"]] == [first]
    assert later["keys"][0]["until_time"] is not None
    said = alice.run("session", "verify", session)
    assert "Signed with a key that the device had until" in said
    assert "approved by alice" in said
    assert "one" in alice.run("session", "export", session, "--text")
    (target,) = alice.json("order", "show", session)["targets"]
    assert (target["vouched"], target["vouched_by_device"]) == ("yes: former key", True)

    done = run(alice, device, "--", "echo two")
    assert done.returncode == 0
    assert b"approved by alice, renewed 2 times since, as its keys prove" in done.stderr
    assert run(alice, device, "--", "echo three").stderr == b""


def test_a_session_goes_on_over_a_renewal_and_its_recording_is_whole(fleet, agent):
    alice, device = fleet.alice, agent.device_id()
    restarted(fleet, agent)
    words = "while read line; do echo $line; done"
    with subprocess.Popen(
        shell_words(device, "-T", "--", words),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=env_of(alice),
        cwd="/",
    ) as process:
        process.stdin.write(b"before\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"before\n"
        renew(fleet, agent)
        process.stdin.write(b"after\n")
        process.stdin.close()
        assert process.stdout.read() == b"after\n"
        assert process.wait(30) == 0
    session = newest(alice)
    assert alice.json("session", "verify", session)["good"]
    assert alice.run("session", "export", session, "--text") == "before\nafter\n"
