"""The demo says how to open a terminal on its device, and that very line does."""

import pathlib
import subprocess
import sys
import tempfile

import pytest

from tests.harness.process import ROOT, environment
from tests.harness.tmux import Tmux

DEMO = [sys.executable, str(ROOT / "packaging/dev/demo")]


@pytest.mark.root
@pytest.mark.timeout(240)
def test_the_demo_says_how_to_open_a_terminal():
    with tempfile.TemporaryDirectory(prefix="pd") as folder:
        pathlib.Path(folder).chmod(0o711)
        demo = subprocess.Popen(
            DEMO,
            stdout=subprocess.PIPE,
            text=True,
            cwd="/",
            env=environment(HOME=folder, TMPDIR=folder),
        )
        try:
            exports, line = _said(demo)
            _try(pathlib.Path(folder), exports, line)
        finally:
            demo.terminate()
            demo.communicate(timeout=60)


def _said(demo):
    """Return the lines that set up the other terminal, and that open a session."""
    exports = ""
    for text in iter(demo.stdout.readline, ""):
        if text.startswith("export "):
            exports = text.strip()
        if "/penguinctl shell " in text:
            return exports, text.strip()
    raise AssertionError("the demo ended")


def _try(folder, exports, line):
    with Tmux(folder, ["bash", "--norc", "--noprofile"], environment(HOME=str(folder))) as window:
        window.see("#")
        window.line(exports)
        window.line(f"clear; {line}; echo status $?")
        window.see("key fingerprint", 60)
        window.line("echo at h''ome in $HOME; exit 9")
        window.see("at home in /root", 30)
        window.see("status 9")
