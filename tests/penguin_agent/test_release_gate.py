"""A release proves itself, or the tree before it is in force again."""

import asyncio
from datetime import timedelta

import pytest

from penguin_agent.release.gate_file import GateFile, Trial
from penguin_agent.release.tree import TreeName
from tests.penguin_agent.release_kit import Laptop, says

FAILS = b"#!/bin/sh\nexit 1\n"
ONE_FAILURE = """#!/bin/sh
if [ -e {0} ]; then echo 1; else touch {0}; exit 1; fi
"""


@pytest.fixture
def laptop(folder, fleet):
    laptop = Laptop(folder, fleet)
    laptop.install(1, {"plugins/one": says("one"), "plugins/bad": b"#!/bin/sh\necho 1\n"})
    return laptop


def returned(outcome, laptop, to="1"):
    assert outcome.state == "failed"
    assert outcome.details["returned_to"] == to
    assert str(laptop.releases.checked.tree.name) == to
    assert laptop.releases.checked.is_whole
    return outcome.details["plugins"]


@pytest.mark.parametrize("files", [{"plugins/new": FAILS}, {"plugins/one": FAILS}])
def test_a_plugin_that_newly_fails_takes_the_release_back(laptop, files):
    outcome, _ = laptop.obey(laptop.release(2, {"plugins/one": says("one"), **files}))
    (failed,) = files
    assert returned(outcome, laptop) == [failed.removeprefix("plugins/")]
    assert outcome.code == "gate-plugins"
    assert laptop.collect() == {"one": '"one"', "bad": "1"}
    assert laptop.releases.folder.names() == [TreeName(1)]


def test_the_next_release_may_follow(laptop):
    laptop.obey(laptop.release(2, {"plugins/one": FAILS}))
    laptop.install(3, {"plugins/one": says("three")})
    assert laptop.collect() == {"one": '"three"'}


def test_a_plugin_that_failed_before_may_go_on_failing(laptop):
    laptop.install(2, {"plugins/one": says("one"), "plugins/bad": says("good")})
    (laptop.current / "plugins/bad").write_bytes(FAILS)
    laptop.collect()
    laptop.install(3, {"plugins/one": says("one"), "plugins/bad": FAILS})
    assert laptop.releases.number == 3


def test_a_plugin_that_did_not_change_is_not_judged(laptop, folder):
    once = ONE_FAILURE.replace("if [", "if ! [").format(folder / "marker").encode()
    laptop.install(2, {"plugins/one": once})
    laptop.install(3, {"plugins/one": once, "plugins/two": says("two")})
    assert laptop.releases.number == 3


def test_a_plugin_has_a_second_try(laptop, folder):
    laptop.install(2, {"plugins/one": ONE_FAILURE.format(folder / "marker").encode()})
    assert laptop.releases.number == 2


def test_answers_that_are_no_failures_pass(laptop):
    laptop.install(
        2,
        {
            "plugins/a": b"#!/bin/sh\necho '\"unknown\"'\n",
            "plugins/b": b"#!/bin/sh\necho null\n",
            "plugins/c": b'#!/bin/sh\necho \'{"cached_at": "2026-01-01T00:00:00"}\'\n',
        },
    )
    assert laptop.releases.number == 2


def test_a_release_that_cuts_the_device_off_is_taken_back(laptop):
    laptop.bench.reaches_server = False
    laptop.bench.deadline = timedelta(seconds=1)
    outcome, _ = laptop.obey(laptop.release(2, {"plugins/one": says("two")}))
    assert returned(outcome, laptop) == []
    assert outcome.code == "gate-timeout"


def test_a_release_with_a_plugin_that_hangs_is_taken_back_in_time(laptop):
    laptop.bench.deadline = timedelta(seconds=1)
    outcome, _ = laptop.obey(laptop.release(2, {"plugins/one": b"#!/bin/sh\nsleep 30\n"}))
    assert returned(outcome, laptop) == []


def test_the_first_release_is_taken_back_to_the_package(folder, fleet):
    laptop = Laptop(folder, fleet)
    path = laptop.package / "own"
    path.write_bytes(says("own"))
    path.chmod(0o755)
    outcome, _ = laptop.obey(laptop.release(1, {"plugins/one": FAILS}))
    returned(outcome, laptop, to="0")
    assert laptop.collect() == {"own": '"own"'}


def test_a_tree_that_was_altered_is_not_returned_to(laptop):
    laptop.install(2, {"plugins/one": says("two")})
    (laptop.directory / "2" / "plugins/one").write_bytes(says("evil"))
    outcome, _ = laptop.obey(laptop.release(3, {"plugins/new": FAILS}))
    returned(outcome, laptop, to="1")


def on_trial(laptop, *, reaches_server=False):
    """Install release 2, and end the agent while it is on trial."""
    order = laptop.release(2, {"plugins/one": says("two")})
    laptop.bench.reaches_server = False

    async def ended():
        async with asyncio.timeout(2):
            await laptop.acts()["release"].run(order, Quiet())

    with pytest.raises(TimeoutError):
        asyncio.run(ended())
    laptop.start()
    laptop.bench.reaches_server = reaches_server
    return order


class Quiet:
    def running(self, **_more):
        pass


def test_a_restart_goes_on_with_the_trial(laptop):
    order = on_trial(laptop, reaches_server=True)
    assert laptop.releases.words()["on_trial"]
    outcome, _ = laptop.obey(order, resume=True)
    assert outcome.state == "succeeded"
    assert laptop.releases.number == 2


def test_time_that_was_spent_before_a_restart_counts(laptop):
    order = on_trial(laptop)
    trial = laptop.releases.gate.read()
    assert trial.spent_seconds >= 1
    laptop.bench.deadline = timedelta(seconds=trial.spent_seconds)
    outcome, _ = laptop.obey(order, resume=True)
    assert returned(outcome, laptop) == []


def test_the_third_start_takes_the_release_back(laptop):
    order = on_trial(laptop)
    laptop.start()
    assert laptop.releases.number == 2
    laptop.start()
    assert laptop.releases.number == 1
    outcome, _ = laptop.obey(order, resume=True)
    assert returned(outcome, laptop) == []
    assert outcome.code == "gate-starts"
    laptop.start()
    assert laptop.releases.number == 1


def test_what_root_took_back_during_its_trial_is_not_begun_again(laptop):
    order = on_trial(laptop, reaches_server=True)
    assert laptop.releases.step_back() == TreeName(1)
    laptop.start()
    outcome, _ = laptop.obey(order, resume=True)
    assert returned(outcome, laptop) == []
    assert outcome.code == "rolled-back"


def test_a_note_that_is_damaged_is_none(folder):
    file = GateFile(folder / "gate.json")
    trial = Trial("0" * 26, TreeName(2), TreeName(1, 3), judged=("one",))
    file.write(trial)
    assert file.read() == trial
    data = (folder / "gate.json").read_bytes()
    for damage in (b"", data[:-1], data.replace(b'"1.3"', b'"../x"'), b"[]"):
        (folder / "gate.json").write_bytes(damage)
        assert file.read() is None
