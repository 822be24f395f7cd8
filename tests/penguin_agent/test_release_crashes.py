"""kill -9 at every point of an installation leaves the old tree or the new one, never half."""

import json
import os
import signal
import subprocess
import sys

import pytest

from penguin_agent.environment import package_folders
from tests.penguin_agent.release_kit import Laptop, says
from tests.penguin_agent.release_process import write
from tests.project import tree

OLD = {"plugins/one": says("one"), "plugins/two": says("two")}
MAKING = (
    "release.part-written",
    "release.blob-written",
    "release.fetched",
    "release.linked",
    "release.listed",
    "release.synced",
    "release.renamed",
)
SWITCHING = ("release.gate-written", "release.switched", "release.pruned")
SCRIPTS = (
    "release.script-noted",
    "release.script-ran",
    "release.script-ended",
    "release.script-listed",
)


@pytest.fixture
def laptop(folder, fleet):
    laptop = Laptop(folder, fleet)
    laptop.install(1, OLD)
    return laptop


def new(folder):
    script = f"#!/bin/sh\necho ran >> {folder}/marker\n".encode()
    return {"plugins/one": says("new"), "plugins/three": says("3"), "commands/x": script}


def ran(folder):
    marker = folder / "marker"
    return marker.read_text().count("ran") if marker.exists() else 0


def act(laptop, order, how, point=""):
    """Act in a process of its own; returns its code and what it printed."""
    path = write(laptop, order)
    python_path = os.pathsep.join([str(tree.ROOT), *package_folders()])
    done = subprocess.run(
        [sys.executable, "-m", "tests.penguin_agent.release_process", laptop.folder, path, how],
        capture_output=True,
        check=False,
        timeout=60,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": python_path, "PD_FAILPOINT": point},
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr.decode()
    return json.loads(done.stdout) if done.returncode == 0 else None


def whole(laptop, *allowed):
    """Start the agent: one of some sets of files is there, and all is verified."""
    laptop.start()
    assert laptop.releases.checked.is_whole
    files = {path: data for path, data in laptop.files().items() if path != "commands/x"}
    assert files in [
        {path: data for path, data in each.items() if path != "commands/x"} for each in allowed
    ]


@pytest.mark.parametrize("point", [*MAKING, *SWITCHING, *SCRIPTS])
def test_a_release_survives_a_crash(laptop, folder, point):
    files = new(folder)
    order = laptop.release(2, files)
    assert act(laptop, order, "run", point) is None
    whole(laptop, *([OLD] if point in MAKING else [OLD, files]))
    ended = act(laptop, order, "resume")
    assert ended["state"] == "succeeded"
    whole(laptop, files)
    assert laptop.collect() == {"one": '"new"', "three": '"3"'}
    assert ran(folder) == (0 if point == "release.script-noted" else 1)
    interrupted = point in ("release.script-noted", "release.script-ran")
    assert ended["parts"].get("commands/x") == (
        "interrupted" if interrupted else "succeeded" if point not in SCRIPTS else None
    )
    assert not list(laptop.directory.glob(".new-*"))


@pytest.mark.parametrize("point", [*MAKING, "release.switched", "release.pruned", *SCRIPTS])
def test_a_patch_survives_a_crash(laptop, folder, point):
    changes = {key: data for key, data in new(folder).items() if key != "plugins/one"}
    order = laptop.patch({**changes, "plugins/one": None}, inline=False)
    files = {"plugins/two": says("two"), **changes}
    assert act(laptop, order, "run", point) is None
    whole(laptop, *([OLD] if point in MAKING else [OLD, files]))
    assert act(laptop, order, "resume")["state"] == "succeeded"
    whole(laptop, files)
    assert str(laptop.releases.checked.tree.name) == "1.1"
    assert ran(folder) == (0 if point == "release.script-noted" else 1)


def test_taking_a_release_back_survives_a_crash(laptop):
    order = laptop.release(2, {"plugins/one": b"#!/bin/sh\nexit 1\n"})
    assert act(laptop, order, "run", "release.returned") is None
    whole(laptop, OLD)
    assert act(laptop, order, "resume")["state"] == "failed"
    whole(laptop, OLD)


def test_crashing_again_and_again_ends_in_a_whole_tree(laptop, folder):
    order = laptop.release(2, new(folder))
    for point in (*MAKING, "release.gate-written"):
        act(laptop, order, "resume", point)
    assert act(laptop, order, "resume")["state"] == "succeeded"
    whole(laptop, new(folder))
