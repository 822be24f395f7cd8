"""One fleet for all attacks that leave it usable, and the attacker's tools."""

import shutil
import tempfile
from pathlib import Path

import pytest

from penguindome.tokens import decode_token
from tests.attacks.kit.database import StolenDatabase
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.keys import StolenKeys
from tests.attacks.kit.trees import OLD
from tests.attacks.kit.wire import Wire
from tests.attacks.kit.world import world_of
from tests.harness.database import mongo_uri
from tests.harness.fleet import Fleet
from tests.penguin_agent.release_kit import Laptop
from tests.penguindome.signing import Fleet as Operators
from tests.penguindome.signing import gpg_home

__all__ = ["mongo_uri"]

# Attackers call more often in a minute than honest devices may.
MANY_CALLS = "[limits]\nenroll_per_minute = 100000\n"


@pytest.fixture(scope="package")
def fleet():
    with Fleet(settings=MANY_CALLS) as running:
        yield running


@pytest.fixture(scope="package")
def state_dir(fleet):
    return fleet.server.folder / "state"


@pytest.fixture(scope="package")
def keys(state_dir):
    return StolenKeys(state_dir)


@pytest.fixture(scope="package")
def database(state_dir):
    stolen = StolenDatabase(state_dir)
    yield stolen
    stolen.close()


@pytest.fixture
def wire(fleet, keys):
    opened = Wire(fleet.server, keys.anchor)
    yield opened
    opened.close()


@pytest.fixture(scope="package")
def token(fleet):
    return decode_token(fleet.alice.token("--uses", "1000"))


@pytest.fixture
def device(wire, token):
    """Return an enrolled device in the attacker's hands, which has not called yet."""
    agent = EvilAgent(wire)
    agent.enroll(token)
    return agent


@pytest.fixture(scope="package")
def operators():
    """Return honest operators, whose keys no server has."""
    with gpg_home() as home:
        yield Operators(home)


@pytest.fixture
def laptop(operators):
    """Return a device that they signed a release for, in this process."""
    folder = Path(tempfile.mkdtemp(prefix="pd"))
    laptop = Laptop(folder, operators)
    laptop.install(5, OLD)
    yield laptop
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def world(operators):
    """Return a device, a server that was taken over, and operators that were not."""
    with world_of(operators) as running:
        yield running
