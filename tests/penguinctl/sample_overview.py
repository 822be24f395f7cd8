"""Fleets at a glance: of hundreds with a month behind it, of one, of none, and a hostile one."""

from __future__ import annotations

import math
import random

from penguindome.v1 import server_pb2 as pb
from tests.penguinctl.samples import HOUR_MS, NOW_MS

CHECKS = (
    ("unencrypted-hard-drive", "A disk or partition is not encrypted", "critical", 6),
    ("firewall-disabled", "The firewall lets everything in", "high", 31),
    ("screenlock-disabled", "The screen does not lock by itself", "high", 22),
    ("os-security-patches-available", "Security updates wait to be installed", "high", 57),
    ("ssh-password-authentication", "The SSH server takes passwords", "medium", 12),
    ("guest-session-enabled", "Anybody may log in as a guest", "medium", 3),
    ("os-update-available", "A newer release of the system is out", "low", 88),
    ("not-reporting", "The device has not reported for a working day", "medium", 14),
    ("eset-out-of-date", "The virus scanner's patterns are old", "medium", 0),
)
SYSTEMS = {
    "Ubuntu 24.04.3 LTS": 142, "Debian GNU/Linux 12": 96, "Fedora Linux 43": 61, "Arch Linux": 44,
    "openSUSE Tumbleweed": 12, "Linux Mint 22": 9, "Pop!_OS 24.04": 6, "NixOS 25.11": 3,
    "Gentoo": 2, "EndeavourOS": 2,
}  # fmt: skip
HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>\u202egnp.evil' + "x" * 240


def samples(days=30, each_hours=4):
    chance = random.Random(3)
    made = []
    for number in range(0, days * 24, each_hours):
        day = math.sin(number / 24 * 2 * math.pi)
        better = number / (days * 24)
        issues = {
            "critical": 14 - round(9 * better) + chance.randint(0, 1),
            "high": 120 - round(40 * better) + chance.randint(0, 9),
            "medium": 60 - round(10 * better) + chance.randint(0, 6),
            "low": 88 + chance.randint(0, 3),
        }
        one = pb.HistorySample(
            time_unix_ms=NOW_MS - days * 24 * HOUR_MS + number * HOUR_MS,
            connected_devices=210 + round(90 * day) + chance.randint(0, 15),
            reporting_devices=348 + chance.randint(0, 12),
            reports_stored=chance.randint(900, 1400),
        )
        one.devices.update({"active": 377, "pending": 2})
        one.open_issues.update(issues)
        made.append(one)
    return made


def large():
    """Return a fleet of hundreds."""
    whole = sum(SYSTEMS.values())
    seen = pb.GetOverviewResponse(
        time_unix_ms=NOW_MS,
        fleet_id="f-0123456789abcdef0123456789abcdef",
        devices=whole,
        connected_devices=263,
        devices_without_issues=201,
        silent_devices=150,
        trend=samples(),
        checks=[
            pb.CheckPosture(
                name=name, summary=summary, severity=severity, failing=failing,
                passing=whole - failing - 20, unknown=7, not_applicable=13,
            )
            for name, summary, severity, failing in CHECKS
        ],
        silent=[
            pb.SilentDevice(
                device_id=f"d-{number:016x}", hostname=f"laptop-{number:03}",
                last_report_unix_ms=NOW_MS - (26 + 31 * number) * HOUR_MS,
                suspended=number % 5 == 4,
            )
            for number in reversed(range(14))
        ],
    )  # fmt: skip
    seen.operating_systems.update(SYSTEMS)
    seen.agent_versions.update({"0.1.0": 361, "0.0.9": 13, "unknown": 3})
    return seen


def single():
    """Return a fleet of one device, which never reported."""
    seen = pb.GetOverviewResponse(
        time_unix_ms=NOW_MS, fleet_id="f-1", devices=1, devices_without_issues=1, silent_devices=1,
        checks=[pb.CheckPosture(name="firewall-disabled", summary="s", severity="high", unknown=1)],
        silent=[pb.SilentDevice(device_id="d-1", hostname="only-one")],
    )  # fmt: skip
    seen.operating_systems.update({"Debian GNU/Linux 12": 1})
    return seen


def hostile():
    """Return a fleet whose every word is meant to do harm."""
    seen = large()
    for one in seen.silent:
        one.hostname = HOSTILE
    for check in seen.checks:
        check.name, check.summary = HOSTILE, HOSTILE
    seen.operating_systems[HOSTILE] = 7
    seen.agent_versions[HOSTILE] = 7
    return seen


FLEETS = {"large": large, "single": single, "empty": pb.GetOverviewResponse, "hostile": hostile}
