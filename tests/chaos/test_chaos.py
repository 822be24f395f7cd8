"""A few rounds of the chaos script; a hundred are for a person with time."""

import pytest

from tests.chaos.run import chaos


@pytest.mark.timeout(300)
def test_kills_lose_and_double_nothing():
    assert "none lost" in chaos(rounds=8, seed=7)
