"""The agent's unit lets plugins see what they ask for, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest

UNIT = (Path(__file__).parents[2] / "systemd/penguin-agent.service").read_text()
SETTINGS = dict(
    line.split("=", 1) for line in UNIT.splitlines() if "=" in line and not line.startswith("#")
)
COMMENTS = "\n".join(line for line in UNIT.splitlines() if line.startswith("#"))
CAPABILITIES = [name.removeprefix("CAP_") for name in SETTINGS["CapabilityBoundingSet"].split()]


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_each_capability_has_its_reason(capability):
    assert capability in COMMENTS


@pytest.mark.parametrize("needed", ["DAC_READ_SEARCH", "NET_ADMIN", "NET_RAW"])
def test_plugins_can_ask(needed):
    assert needed in CAPABILITIES


def test_plugins_cannot_take_over_processes():
    assert "SYS_PTRACE" not in CAPABILITIES


def test_zfs_can_be_asked():
    assert SETTINGS["DevicePolicy"] == "closed"
    assert SETTINGS["DeviceAllow"] == "/dev/zfs rw"
