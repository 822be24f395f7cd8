"""The demo works for everybody, and leaves nothing behind."""

import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

from tests.harness.process import ROOT, environment
from tests.harness.server import AS_NOBODY

DEMO = [sys.executable, str(ROOT / "packaging/dev/demo")]


def played(*before: str) -> str:
    """Return what the demo says from its beginning to its end, and see that it leaves nothing."""
    with tempfile.TemporaryDirectory(prefix="pd") as folder:
        pathlib.Path(folder).chmod(0o777)
        done = subprocess.run(
            [*before, *DEMO],
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
            cwd="/",
            env=environment(DEMO_EXIT="1", HOME=folder, TMPDIR=folder),
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert os.listdir(folder) == []  # noqa: PTH208 -- names are what is compared
        return done.stdout


def has_its_story(said: str, user: str) -> None:
    """Check that the demo looks at the fleet, and runs a command by signature as a user."""
    assert "penguinctl issue list" in said
    assert "$ penguinctl overview\n" in said
    assert "penguinctl overview --html" in said
    _, _, ran = said.partition("$ penguinctl run ")
    assert ran.splitlines()[1] == user
    assert ": succeeded, exit code 0" in ran
    _, _, history = said.partition("$ penguin-agent history\n")
    assert "a look at the demo" in history
    assert "succeeded" in history


@pytest.mark.root
@pytest.mark.timeout(240)
def test_demo_works_for_an_ordinary_user():
    has_its_story(played(*AS_NOBODY), "nobody")


@pytest.mark.root
@pytest.mark.timeout(240)
def test_demo_works_for_root():
    has_its_story(played(), "root")


@pytest.mark.root
def test_server_refuses_to_be_root(tmp_path):
    config = tmp_path / "penguind.toml"
    config.write_text(f'[server]\nstate_dir = "{tmp_path}/state"\n')
    penguind = pathlib.Path(sys.executable).parent / "penguind"
    done = subprocess.run(
        [str(penguind), "--config", str(config), "run"],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
        cwd="/",
        env=environment(),
    )
    assert done.returncode != 0
    assert "root" in done.stderr
    assert "Traceback" not in done.stderr
