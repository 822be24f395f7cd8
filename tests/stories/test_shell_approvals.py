"""Remote shells that two operators have to sign: who opens one waits, or wants it no more."""

import contextlib
import signal
import subprocess

import pytest

from tests.harness.process import wait_until
from tests.stories.shells import device_of, env_of, shell_words

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def agent(fleet):
    return device_of(fleet)


@pytest.fixture(scope="module")
def bob(fleet, agent):
    """Return the operator whose signature alice needs from now on."""
    bob = fleet.operator("bob", fleet.invite("bob", "--role", "admin"))
    key = fleet.folder / "bob.gpg"
    gpg = ["gpg", "--homedir", bob.folder / "gnupg", "--batch", "--export-options"]
    done = subprocess.run(
        [*gpg, "export-minimal", "--export"], check=True, capture_output=True, timeout=60
    )
    key.write_bytes(done.stdout)
    words = ("--add", f"bob={key}", "--threshold", "shell=2", "--yes")
    fleet.alice.run("trust", "propose", *words)
    version = fleet.alice.json("trust", "publish")["version"]
    known = agent.folder / "state" / "trust" / f"{version}.json"
    wait_until(known.exists, 30, "the device does not know him")
    return bob


@contextlib.contextmanager
def asking(fleet, agent, bob):
    """Lend a session that waits for bob, and its order's id."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        shell_words(agent.device_id(), "--", "echo agreed"),
        stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, env=env_of(fleet.alice), cwd="/",
    ) as process:  # fmt: skip
        try:
            wait_until(lambda: waiting(bob), 30, "nothing waits for bob")
            (order,) = waiting(bob)
            yield process, order["order_id"]
        finally:
            process.kill()


def waiting(bob):
    return bob.json("order", "list", "--waiting")["orders"]


def ended(process):
    shown, said = process.communicate(timeout=30)
    return process.returncode, shown, said


def test_a_session_begins_once_both_signed(fleet, agent, bob):
    with asking(fleet, agent, bob) as (process, order_id):
        bob.run("order", "approve", order_id, "--yes")
        code, shown, said = ended(process)
    assert (code, shown, b"waits for 1 more signature" in said) == (0, b"agreed\n", True)


def test_a_session_that_the_other_takes_back_does_not_begin(fleet, agent, bob):
    with asking(fleet, agent, bob) as (process, order_id):
        bob.run("order", "withdraw", order_id, "--reason", "not today")
        code, shown, said = ended(process)
    assert (code, shown, b"nobody approved the session" in said) == (255, b"", True), said


def test_who_waits_no_more_wants_no_session_either(fleet, agent, bob):
    with asking(fleet, agent, bob) as (process, _):
        process.send_signal(signal.SIGINT)
        assert ended(process)[0] != 0
        assert waiting(bob) == []
