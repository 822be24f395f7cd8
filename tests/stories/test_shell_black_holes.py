"""Remote shells over paths on which packets vanish: a short version of tests/chaos/shells.py."""

import subprocess
import sys

import pytest

from tests.harness.process import ROOT

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]


def test_streams_over_black_holes_are_those_of_a_session_that_was_never_cut():
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos.shells", "--rounds", "3", "--longest", "6"],
        capture_output=True, text=True, check=False, timeout=200, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 rounds: every stream is whole" in done.stdout
