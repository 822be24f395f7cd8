"""One fleet for all attacks that leave it usable: a server with its database takes seconds."""

import pytest

from tests.harness.fleet import Fleet


@pytest.fixture(scope="package")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture
def alice(fleet):
    return fleet.alice
