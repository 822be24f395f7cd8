"""Contents are asked for again while the server has no time, and given up when it never has."""

import time

from penguin_agent.release.fetch import BARREN_LIMIT
from tests.penguin_agent.release_kit import says

FILES = {"plugins/one": says("one")}


def test_a_server_that_is_busy_for_ever_makes_a_release_fail(laptop):
    laptop.contents.busy = [0] * (BARREN_LIMIT + 1)
    outcome, _ = laptop.obey(laptop.release(5, FILES))
    assert (outcome.state, outcome.code) == ("failed", "busy")
    assert laptop.contents.busy == [0]
    assert laptop.releases.number == 0


def test_a_server_that_is_busy_is_asked_again_when_it_says(laptop):
    laptop.contents.busy = [0, 1, 0]
    begun = time.monotonic()
    laptop.install(5, FILES)
    assert time.monotonic() - begun >= 1
    assert len(laptop.contents.asked) == 4
    assert laptop.files() == FILES
