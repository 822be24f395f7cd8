"""Remote shells over links that fall silent, are forgotten, or whose server restarts."""

import getpass
import pathlib
import random
import subprocess
import tempfile
import time

import pytest

from tests.harness.holes import ProxyHole
from tests.stories.lost_links import Exchange, device_by
from tests.stories.shells import env_of

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def holes(fleet):
    """Return the two legs' ways: the device's and the operator's."""
    with ProxyHole(fleet.server.main_port) as far, ProxyHole(fleet.server.main_port) as near:
        yield {"device": far, "operator": near}


@pytest.fixture(scope="module")
def agent(fleet, holes):
    return device_by(fleet, holes["device"].port)


@pytest.fixture
def exchange(fleet, holes, agent):
    with tempfile.TemporaryDirectory(prefix="pd") as name:

        def begin(seconds):
            port, device = holes["operator"].port, agent.device_id()
            return Exchange(fleet.alice, port, device, pathlib.Path(name), seconds)

        yield begin


@pytest.mark.parametrize("leg", ["device", "operator"])
def test_a_silent_link_that_goes_on_loses_nothing(exchange, holes, leg):
    with exchange(8):
        for _ in range(3):
            time.sleep(random.uniform(0.1, 1.0))
            holes[leg].shut()
            time.sleep(random.uniform(0.1, 1.5))
            holes[leg].let()


@pytest.mark.parametrize("leg", ["device", "operator"])
def test_a_link_that_never_speaks_again_is_replaced(exchange, holes, leg):
    with exchange(12) as session:
        time.sleep(1.0)
        holes[leg].shut()
        time.sleep(0.5)
        holes[leg].let(forget=True)
        before = len(session.shown)
        time.sleep(0.5)
        # Well before the connection's own pings would find out.
        end = time.monotonic() + 15
        while len(session.shown) < before + 100_000 and time.monotonic() < end:
            time.sleep(0.05)
        assert len(session.shown) >= before + 100_000


def test_a_connection_that_one_session_gives_up_takes_no_other_along(exchange, holes, agent):
    with exchange(10), exchange(10):
        time.sleep(1.0)
        holes["device"].shut()
        time.sleep(0.5)
        holes["device"].let(forget=True)
    assert "broken off" not in agent.log()


def test_a_server_that_is_killed_and_comes_back_loses_nothing(exchange, fleet):
    with exchange(10):
        time.sleep(1.0)
        fleet.server.process.kill()
        fleet.server.start()


@pytest.mark.parametrize("leg", ["device", "operator"])
def test_a_connection_that_breaks_while_much_is_under_way_loses_nothing(fleet, holes, agent, leg):
    data = random.Random(11).randbytes(40_000_000)
    words = ["penguinctl", "--server", f"127.0.0.1:{holes['operator'].port}", "shell"]
    words += [agent.device_id(), "--user", getpass.getuser(), "-T", "--", "cat"]
    with tempfile.TemporaryFile() as typed, tempfile.TemporaryFile() as shown:
        typed.write(data)
        typed.seek(0)
        with subprocess.Popen(
            words, stdin=typed, stdout=shown, stderr=subprocess.PIPE,
            env=env_of(fleet.alice), cwd="/",
        ) as process:  # fmt: skip
            for _ in range(6):
                before, end = shown.seek(0, 2), time.monotonic() + 30
                while shown.seek(0, 2) < before + 300_000 and time.monotonic() < end:
                    time.sleep(0.01)
                holes[leg].cut()
            assert process.wait(90) == 0, process.stderr.read()
        shown.seek(0)
        assert shown.read() == data
