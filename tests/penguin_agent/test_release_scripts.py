"""Standing scripts of a release run once ever, in order, and go when they ran well."""

from penguin_agent.release.scripts import STARTED, standing
from tests.penguin_agent.release_kit import says

FILES = {
    "commands/20-second": b"#!/bin/sh\necho second\n",
    "commands/10-first": b"#!/bin/sh\necho first\n",
    "commands/30-fails": b"#!/bin/sh\necho oh no; exit 3\n",
    "commands/lib/data": b"#!/bin/sh\nexit 1\n",
    "plugins/one": says("one"),
}
FAILED = "commands/30-fails"


def test_scripts_run_in_the_order_of_their_names_and_those_that_ran_well_go(laptop):
    outcome, told = laptop.obey(laptop.release(1, FILES))
    assert outcome.state == "succeeded"
    assert laptop.runner.ran == ["commands/10-first", "commands/20-second", FAILED]
    assert told.printed["commands/10-first", "stdout"] == b"first\n"
    assert {part: one.state for part, one in told.parts.items()} == {
        "commands/10-first": "succeeded",
        "commands/20-second": "succeeded",
        FAILED: "failed",
    }
    assert told.parts[FAILED].exit_code == 3
    assert {path for path in laptop.files() if path.startswith("commands")} == {
        FAILED,
        "commands/lib/data",
    }
    assert laptop.releases.words()["scripts"] == {FAILED: "failed"}


def test_the_tree_is_whole_without_them(laptop):
    laptop.install(1, FILES)
    laptop.start()
    assert laptop.releases.checked.is_whole
    assert laptop.releases.checked.tree.done == ("commands/10-first", "commands/20-second")


def test_they_run_after_the_release_proved_itself(laptop):
    laptop.obey(laptop.release(1, {**FILES, "plugins/one": b"#!/bin/sh\nexit 1\n"}))
    assert laptop.runner.ran == []


def test_no_script_runs_twice(laptop):
    order = laptop.release(1, FILES)
    laptop.obey(order)
    laptop.start()
    outcome, told = laptop.obey(order, resume=True)
    assert outcome.state == "succeeded"
    assert (laptop.runner.ran, told.parts) == ([], {})
    laptop.obey(laptop.patch({"data/x": b"x"}))
    assert laptop.runner.ran == []
    assert laptop.releases.checked.is_whole


def test_one_that_a_crash_interrupted_never_runs_again(laptop):
    order = laptop.release(1, FILES)
    laptop.obey(order)
    (failed,) = standing(laptop.releases.checked.tree)
    laptop.releases.notes.note(failed, STARTED)
    laptop.start()
    _outcome, told = laptop.obey(order, resume=True)
    assert {part: one.state for part, one in told.parts.items()} == {FAILED: "interrupted"}
    laptop.start()
    _outcome, told = laptop.obey(order, resume=True)
    assert (laptop.runner.ran, told.parts) == ([], {})


def test_the_next_release_runs_its_own(laptop):
    laptop.install(1, FILES)
    laptop.runner.ran.clear()
    laptop.install(2, FILES)
    assert laptop.runner.ran == ["commands/10-first", "commands/20-second", FAILED]


def test_a_patch_runs_what_it_brings_and_nothing_else(laptop):
    laptop.install(1, FILES)
    laptop.runner.ran.clear()
    again = "commands/10-first"
    _outcome, told = laptop.obey(laptop.patch({again: FILES[again]}))
    assert laptop.runner.ran == [again]
    assert told.parts[again].state == "succeeded"
    laptop.start()
    assert laptop.releases.checked.is_whole


def test_one_that_was_altered_does_not_run(laptop):
    order = laptop.release(1, {"plugins/one": says("one"), "commands/x": b"#!/bin/sh\n"})
    laptop.runner = Meddling(laptop)
    extra = laptop.release(1, {"commands/a": b"#!/bin/sh\n", "commands/b": b"#!/bin/sh\necho b\n"})
    del order
    _outcome, told = laptop.obey(extra)
    assert told.parts["commands/b"].code == "altered"
    assert laptop.runner.ran == ["commands/a"]


class Meddling:
    """Runs the first script, and changes the second one meanwhile."""

    def __init__(self, laptop):
        self.laptop = laptop
        self.inner = laptop.runner

    @property
    def ran(self):
        return self.inner.ran

    async def run(self, order, part, script, progress):
        (self.laptop.current / "commands/b").write_bytes(b"#!/bin/sh\necho e\n")
        return await self.inner.run(order, part, script, progress)


def test_lost_notes_stand_in_the_way_of_scripts(laptop):
    order = laptop.release(1, FILES)
    laptop.obey(order)
    (laptop.directory / "scripts.json").write_text("[")
    laptop.start()
    laptop.obey(order, resume=True)
    laptop.install(2, FILES)
    assert laptop.runner.ran == []
