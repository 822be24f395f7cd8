"""A server that was taken over meddles with a shell's frames and answers: nothing is executed.

Both ends are real, and so is the server but for what it does to what passes.
"""

from __future__ import annotations

import itertools
import time

import pytest

from tests.attacks.kit.shells import EvilRelayFleet, newest, sessions, shell
from tests.harness.process import wait_until
from tests.stories.shells import device_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
INPUT, OUTPUT = 1, 16
MEDDLING = ["flip", "kind", "cut", "short", "inject", "drop", "swap"]
# Longer than anything here waits: a session that ends only by its lost operator fails the test.
RESUME = "[shell]\nresume_seconds = 300\n"


@pytest.fixture(scope="module")
def fleet():
    with EvilRelayFleet() as running:
        yield running


@pytest.fixture(scope="module")
def agent(fleet):
    return device_of(fleet, RESUME)


@pytest.fixture(autouse=True)
def _honest(fleet):
    fleet.server.rules.unlink(missing_ok=True)
    yield
    fleet.server.rules.unlink(missing_ok=True)


def ended(agent):
    wait_until(lambda: not sessions(agent), 20, "the session goes on")


def told(fleet, why):
    """Find that the device, and by its receipt everybody, was told why the session ended."""
    wait_until(lambda: newest(fleet.alice)["ended_reason"], 10, "no receipt")
    found = newest(fleet.alice)
    assert why in found["ended_reason"], found
    assert found["state"] in {"failed", "cancelled"}


def test_the_relay_works_while_it_is_honest(fleet, agent, tmp_path):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "sh") as one:
        one.line(f"touch {tmp_path}/ran")
        one.line("echo shown; exit 3")
        assert one.end()[:2] == (3, b"shown\n")
    assert (tmp_path / "ran").exists()
    ended(agent)


@pytest.mark.parametrize("how", MEDDLING)
def test_keystrokes_that_were_meddled_with_do_nothing_and_end_the_session(
    fleet, agent, tmp_path, how
):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "sh") as one:
        one.line(f"touch {tmp_path}/begun")
        wait_until((tmp_path / "begun").exists, 20, "no session")
        fleet.server.obey(how=how, to="device", kind=INPUT)
        one.line(f"touch {tmp_path}/first")
        if how in {"drop", "swap"}:
            # Lines that come together may travel as one frame.
            time.sleep(0.3)
            one.line(f"touch {tmp_path}/second")
        status, _, said = one.end()
        assert (status, b"frame" in said) == (255, True), said
    ended(agent)
    told(fleet, "frame")
    assert {path.name for path in tmp_path.iterdir()} == {"begun"}


def test_a_keystroke_that_is_sent_twice_is_typed_once(fleet, agent, tmp_path):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "sh") as one:
        fleet.server.obey(how="repeat", to="device", kind=INPUT)
        one.line(f"echo x >> {tmp_path}/typed")
        one.line("exit 0")
        assert one.end()[0] == 0
    assert (tmp_path / "typed").read_text() == "x\n"
    ended(agent)


@pytest.mark.parametrize("how", MEDDLING)
def test_output_that_was_meddled_with_is_not_shown_and_ends_the_session(
    fleet, agent, tmp_path, how
):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "sh") as one:
        one.line(f"touch {tmp_path}/begun")
        wait_until((tmp_path / "begun").exists, 20, "no session")
        fleet.server.obey(how=how, to="operator", kind=OUTPUT)
        one.line("echo one; sleep 0.3; echo two; sleep 300")
        status, shown, said = one.end()
        assert (status, shown, b"frame" in said) == (255, b"", True), said
    ended(agent)
    told(fleet, "ended by alice: ")
    told(fleet, "frame")


def test_output_that_is_sent_twice_is_shown_once(fleet, agent):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "sh") as one:
        fleet.server.obey(how="repeat", to="operator", kind=OUTPUT)
        one.line("echo one; sleep 0.2; echo two; exit 4")
        assert one.end()[:2] == (4, b"one\ntwo\n")


@pytest.mark.parametrize("how", ["flip", "drop", "inject"])
# All of it fits into what may be under way, or not.
@pytest.mark.parametrize(
    "what", list(itertools.product(["device", "operator"], [350_000, 1_400_000]))
)
def test_a_copy_that_was_meddled_with_becomes_no_file(fleet, agent, tmp_path, how, what):
    to, size = what
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(b"content" * (size // 7))
    device = agent.device_id()
    words = (source, f"{device}:{target}") if to == "device" else (f"{device}:{source}", target)
    fleet.server.obey(how=how, to=to, kind=INPUT if to == "device" else OUTPUT)
    said = fleet.alice.run("cp", *words, status=6)
    assert ("broken off" in said, "frame" in said) == (True, True), said
    ended(agent)
    told(fleet, "frame")
    assert not target.exists()
    fleet.server.rules.unlink()
    fleet.alice.run("cp", *words)
    assert target.read_bytes() == source.read_bytes()


def test_acknowledging_what_was_never_sent_ends_the_session(fleet, agent, tmp_path):
    with shell(fleet.alice, agent.device_id(), "-T", "--", "sh") as one:
        one.line(f"touch {tmp_path}/begun")
        wait_until((tmp_path / "begun").exists, 20, "no session")
        fleet.server.obey(how="acknowledge")
        one.line("yes")
        status, _, said = one.end()
        assert (status, b"cannot have" in said) == (255, True), said
    ended(agent)
    told(fleet, "cannot have")
    assert "Traceback" not in agent.log()


@pytest.mark.parametrize("how", ["own key, unsigned", "own key, own signature"])
def test_an_answer_with_the_servers_own_key_is_refused(fleet, agent, tmp_path, how):
    fleet.server.obey(how=how)
    with shell(fleet.alice, agent.device_id(), "-T", "--", "sh") as one:
        one.line(f"touch {tmp_path}/typed")
        status, shown, said = one.end()
        assert (status, shown, b"not signed by the device" in said) == (255, b"", True), said
    ended(agent)
    told(fleet, "not signed by the device")
    assert not (tmp_path / "typed").exists()


def test_an_answer_to_another_order_or_from_another_device_is_refused(fleet, agent, tmp_path):
    how = "another session's answer"
    fleet.server.obey(how=how)
    first = shell(fleet.alice, agent.device_id(), "-T", "--", "true")
    with first as one:
        assert one.end()[0] == 0
    other = device_of(fleet, RESUME)
    for where, why in ((agent, b"another order"), (other, b"not signed by the device")):
        with shell(fleet.alice, where.device_id(), "-T", "--", "sh") as one:
            one.line(f"touch {tmp_path}/typed")
            status, shown, said = one.end()
            assert (status, shown, why in said) == (255, b"", True), said
        ended(where)
    assert not (tmp_path / "typed").exists()
