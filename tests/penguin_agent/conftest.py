import os
import shutil
import tempfile
from pathlib import Path

import pytest

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from tests.penguin_agent.agent_process import AgentProcess
from tests.penguin_agent.release_kit import Laptop
from tests.penguin_agent.server_simulator import Simulator
from tests.penguindome.signing import Fleet, gpg_home


@pytest.fixture(scope="session")
def fleet():
    with gpg_home() as home:
        yield Fleet(home)


@pytest.fixture
def folder():
    path = Path(tempfile.mkdtemp(prefix="pd"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def simulator(fleet):
    with Simulator(fleet) as simulator:
        yield simulator


@pytest.fixture
def agent(folder):
    process = AgentProcess(folder)
    yield process
    process.stop()


@pytest.fixture
def laptop(folder, fleet):
    """A device without a release yet."""
    return Laptop(folder, fleet)
