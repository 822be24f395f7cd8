"""A fleet for each module of commands, with one device that says little."""

import pytest

from tests.harness.fleet import Fleet

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
