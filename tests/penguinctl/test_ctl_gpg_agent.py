"""gpg's agent is started early for who signs soon, and none is left behind."""

import shutil
import tempfile
from pathlib import Path

import pytest

from penguinctl import gpg_agent, signing
from tests.harness.gpg_agents import gpg_agents
from tests.harness.process import wait_until


@pytest.fixture
def home():
    """Yield a short home with a key of ours."""
    folder = Path(tempfile.mkdtemp(prefix="pd"))
    yield folder / "h"
    gpg_agent.end_agents()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def key(home):
    """Return the key; no agent runs."""
    made = signing.make_key("alice", "0" * 32, home, ours=True, passphrase="")
    end_all(home)
    return made


def running(home):
    return wait_until(lambda: gpg_agents(home), 10, "no agent runs")


def gone(home):
    """Wait for an agent that was told to end: it says so before it has."""
    wait_until(lambda: not gpg_agents(home), 10, "an agent still runs")


def end_all(home):
    gpg_agent.end_agents()
    gone(home)


def test_an_agent_that_is_there_early_is_used_and_ended(home, key):
    gpg_agent.get_ready(home, own_home=True)
    gpg_agent.get_ready(home, own_home=True)
    (early,) = running(home)
    with gpg_agent.opened(home, own_home=True):
        assert gpg_agents(home) == [early]
    end_all(home)
    assert signing.sign(key, "command", b"payload").signatures


@pytest.mark.usefixtures("key")
def test_an_agent_that_nobody_needed_is_ended(home):
    gpg_agent.get_ready(home, own_home=True)
    end_all(home)


def test_one_who_still_signs_keeps_the_agent(home, key):
    gpg_agent.get_ready(home, own_home=True)
    running(home)
    with gpg_agent.opened(home, own_home=True):
        assert signing.sign(key, "command", b"payload").signatures
        assert gpg_agents(home)
    end_all(home)


def test_no_agent_is_started_in_a_home_that_is_not_ours(home, key):
    gpg_agent.get_ready(home, own_home=False)
    gpg_agent.get_ready(None, own_home=True)
    end_all(home)
    assert key.own_home


def test_what_is_wrong_with_a_home_is_told_by_who_opens_it(home):
    for bad in (home, home / ("x" * 90)):
        gpg_agent.get_ready(bad, own_home=True)
        assert not bad.exists()


def test_a_session_that_does_not_begin_leaves_no_agent(commander):
    done = commander("shell", "no-such-host", "--", "true")
    assert (done.code, "no-such-host" in done.err) == (255, True), done.err
    gone(commander.home)
