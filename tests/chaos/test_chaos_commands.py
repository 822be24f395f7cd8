"""A few rounds of the chaos of commands; three hundred are for a person with time."""

import pytest

from tests.chaos.commands import chaos


@pytest.mark.timeout(400)
def test_kills_run_nothing_twice_and_leave_nothing_without_an_end():
    assert "none ran twice" in chaos(rounds=12, seed=5)
