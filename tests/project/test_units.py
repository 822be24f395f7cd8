"""The systemd units are valid and as locked down as they say."""

import re
import subprocess

import pytest

from tests.project import tree

UNITS = {"penguind.service": 1.5, "penguin-agent.service": 3.5}
FOLDER = tree.ROOT / "systemd"


@pytest.fixture(params=UNITS)
def unit(request, tmp_path):
    """Return a copy of the unit whose program exists on this machine."""
    text = (FOLDER / request.param).read_text()
    copy = tmp_path / request.param
    copy.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    return copy


def analyze(*words):
    """Run systemd-analyze and return what it printed."""
    done = subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_unit_is_valid(unit):
    assert analyze("verify", "--man=no", str(unit)) == ""


def test_unit_is_locked_down(unit):
    threshold = UNITS[unit.name]
    said = analyze("security", "--offline=true", f"--threshold={threshold * 10:.0f}", str(unit))
    assert float(re.search(r"exposure level for \S+: ([\d.]+)", said)[1]) <= threshold


def test_programs_are_the_entry_points():
    setup = (tree.ROOT / "setup.cfg").read_text()
    for name in UNITS:
        program = name.removesuffix(".service")
        assert f"ExecStart={program} run\n" in (FOLDER / name).read_text()
        assert f"    {program} = " in setup


@pytest.mark.parametrize("name", UNITS)
def test_watchdog_needs_notification(name):
    text = (FOLDER / name).read_text()
    assert "\nType=notify\n" in text
    assert "\nNotifyAccess=main\n" in text
    assert re.search(r"^WatchdogSec=\d+$", text, re.MULTILINE)


def test_agent_comes_back_whatever_happens():
    text = (FOLDER / "penguin-agent.service").read_text()
    assert "\nRestart=always\n" in text
    assert "\nStartLimitIntervalSec=0\n" in text
