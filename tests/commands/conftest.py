"""A fleet for each module of commands, with one device that says little."""

import os
import shutil

import pytest

from tests.harness.fleet import Fleet
from tests.harness.server import NOBODY, Server

FIREWALL = '#!/bin/sh\necho \'{"status": "off"}\'\n'


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture(scope="module")
def agent(fleet):
    token = fleet.alice.token("--label", "sales")
    device = fleet.device(plugins=fleet.plugins(firewall=FIREWALL), token=token)
    fleet.wait_for_report(device)
    return device


@pytest.fixture
def alice(fleet):
    return fleet.alice


@pytest.fixture
def second(fleet):
    """Return a further server on this machine, not set up."""
    server = Server(fleet.folder / "second")
    server.folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(server.folder, NOBODY, NOBODY)
    yield server
    server.stop()
    shutil.rmtree(server.folder)
