"""Updates: the distribution's own word, and "unknown" whenever it has none."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguin_agent.parsers import os_updates
from penguin_agent.parsers.tools import Answer
from penguindome.errors import NotFound

NOW = datetime(2026, 3, 1, tzinfo=UTC)
UBUNTU = {
    "do-release-upgrade": Answer(1, ""),
    "/usr/lib/update-notifier/apt-check": Answer(0, "", "0;0"),
}
STAMP = "var/lib/apt/periodic/update-success-stamp"
SIMULATION = """\
NOTE: This is only a simulation!
Reading package lists...
Inst libc-bin [2.36-9+deb12u9] (2.36-9+deb12u10 Debian:12.10/stable [amd64])
{}Conf libc-bin (2.36-9+deb12u10 Debian:12.10/stable [amd64])
"""
SECURITY = "Inst openssl [3.0.15-1] (3.0.16-1 Debian-Security:12/stable-security [amd64])\n"


@pytest.fixture
def machine(tmp_path):
    """Return a function that asks a machine of some distribution, with these tools."""

    def ask(release, tools, *, days_old=0, stamp=STAMP):
        (tmp_path / "etc").mkdir(exist_ok=True)
        (tmp_path / "etc/os-release").write_text(release)
        if days_old is not None:
            path = tmp_path / stamp
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
            time = (NOW - timedelta(days=days_old)).timestamp()
            os.utime(path, (time, time))

        def run(*words, timeout_seconds=0):
            for key in (" ".join(words), words[0]):
                if key in tools:
                    return tools[key]
            raise NotFound(f"{words[0]} is not installed")

        return os_updates.look(tmp_path, run, NOW)

    return ask


@pytest.mark.parametrize(
    ("tool", "answer", "key", "expected"),
    [
        ("do-release-upgrade", None, "release", "unknown"),
        ("do-release-upgrade", Answer(0, "New release"), "release", True),
        ("do-release-upgrade", Answer(1, ""), "release", False),
        ("do-release-upgrade", Answer(1, "", "no network"), "release", "unknown"),
        ("do-release-upgrade", Answer(2, ""), "release", "unknown"),
        ("/usr/lib/update-notifier/apt-check", None, "patches", "unknown"),
        ("/usr/lib/update-notifier/apt-check", Answer(0, "", "0;0"), "patches", False),
        ("/usr/lib/update-notifier/apt-check", Answer(0, "", "1;0"), "patches", True),
        ("/usr/lib/update-notifier/apt-check", Answer(0, "", "1;0"), "security_patches", False),
        ("/usr/lib/update-notifier/apt-check", Answer(0, "", "1;1"), "security_patches", True),
        ("/usr/lib/update-notifier/apt-check", Answer(1, "", "E: broken"), "patches", "unknown"),
    ],
)
def test_ubuntu(machine, tool, answer, key, expected):
    tools = {name: value for name, value in {**UBUNTU, tool: answer}.items() if value}
    assert machine("ID=ubuntu\nID_LIKE=debian\n", tools)[key] == expected


@pytest.mark.parametrize(
    ("days_old", "current"),
    [(0, True), (1.9, True), (3, False), (None, False), (-1, True), (-400, False)],
)
def test_lists_of_packages_are_current_for_two_days(machine, days_old, current):
    assert machine("ID=ubuntu\n", UBUNTU, days_old=days_old)["current"] is current


@pytest.mark.parametrize("days_old", [3, None])
@pytest.mark.parametrize(("counts", "expected"), [("0;0", "unknown"), ("2;1", True)])
def test_old_lists_do_not_know_of_new_updates(machine, days_old, counts, expected):
    tools = {**UBUNTU, "/usr/lib/update-notifier/apt-check": Answer(0, "", counts)}
    found = machine("ID=ubuntu\n", tools, days_old=days_old)
    assert (found["patches"], found["security_patches"]) == (expected, expected)


def test_apt_without_lists_finds_nothing_and_that_is_no_answer(machine):
    nothing = "Calculating upgrade...\n0 upgraded, 0 newly installed, 0 to remove.\n"
    found = machine("ID=debian\n", {"apt-get": Answer(0, nothing)}, days_old=None)
    assert (found["current"], found["patches"]) == (False, "unknown")


def test_signed_list_of_debian_is_a_stamp(machine):
    stamp = "var/lib/apt/lists/deb.debian.org_debian-security_dists_bookworm-security_InRelease"
    assert machine("ID=debian\n", {}, days_old=1, stamp=stamp)["current"] is True


@pytest.mark.parametrize(("installed", "expected"), [("11", True), ("13", False)])
def test_security_fix_that_a_later_version_hides(machine, installed, expected):
    names = {"12": "debian-security bookworm-security", "15": "debian bookworm"}
    table = ""
    for number in ("15", "13", "12", "11"):
        start = " ***" if number == installed else "    "
        table += f"{start} 1.2-1+deb12u{number} 500\n"
        if number in names:
            table += f"        500 http://deb.debian.org/{names[number]}/main amd64 Packages\n"
    policy = f"gnutls:\n  Installed: 1\n  Candidate: 2\n  Version table:\n{table}"
    tools = {"apt-get": Answer(0, SIMULATION.format("")), "apt-cache": Answer(0, policy)}
    assert machine("ID=debian\n", tools)["security_patches"] is expected


@pytest.mark.parametrize(
    ("text", "patches", "security"),
    [
        (SIMULATION.format(""), True, False),
        (SIMULATION.format(SECURITY), True, True),
        ("Inst x-security-tools [1] (2 Debian:12/stable [all])\n", True, False),
        (
            "Inst new (1 Ubuntu:24.04/noble-updates, Ubuntu:24.04/noble-security [all])\n",
            True,
            True,
        ),
        ("Reading package lists...\n", False, False),
    ],
)
def test_debian_by_a_dry_run(machine, text, patches, security):
    found = machine("ID=debian\n", {"apt-get": Answer(0, text)})
    assert (found["patches"], found["security_patches"]) == (patches, security)


def test_a_debian_with_pacman_is_a_debian(machine):
    assert "installed_packages" not in machine("ID=debian\n", {"pacman": Answer(0, "x 1\n")})


@pytest.mark.parametrize(
    ("tools", "patches", "security"),
    [
        ({"pacman -Qu": Answer(1, "")}, False, False),
        ({"pacman -Qu": Answer(0, "linux 6.1 -> 6.2\n")}, True, "unknown"),
        ({"pacman -Qu": Answer(1, "", "could not lock database")}, "unknown", "unknown"),
        (
            {
                "pacman -Qu": Answer(0, "linux 6.1 -> 6.2\n"),
                "arch-audit": Answer(0, "x is affected. Update to 2 from testing repos!\n"),
            },
            True,
            False,
        ),
        (
            {
                "pacman -Qu": Answer(0, "linux 6.1 -> 6.2\n"),
                "arch-audit": Answer(0, "linux is affected by CVE-2026-1. Update to 6.2!\n\n"),
            },
            True,
            True,
        ),
    ],
)
def test_arch(machine, tools, patches, security):
    installed = {"pacman -Q": Answer(0, "b 1\na 2\n\n")}
    found = machine("ID=arch\n", {**tools, **installed}, stamp="var/lib/pacman/sync/core.db")
    assert (found["patches"], found["security_patches"]) == (patches, security)
    assert found["release"] is False
    assert found["installed_packages"] == ["a 2", "b 1"]


def test_arch_is_never_refreshed(machine):
    stamp = "var/lib/pacman/sync/core.db"
    assert machine("ID=arch\n", {}, days_old=1, stamp=stamp)["current"] is True


@pytest.mark.parametrize(("code", "expected"), [(100, True), (0, False), (1, "unknown")])
def test_fedora(machine, code, expected):
    tools = {"dnf": Answer(code, ""), "rpm": Answer(0, "b\na\n\n")}
    found = machine("ID=fedora\n", tools, stamp="var/cache/dnf/last_makecache")
    assert found["patches"] == found["security_patches"] == expected
    assert found["installed_packages"] == ["a", "b"]


def test_other_distributions_are_unknown(machine):
    assert machine("ID=plan9\n", {}) == "unknown"


@given(st.text())
def test_any_dry_run_is_read(text):
    assert os_updates.waiting_packages(text) in {(False, False), (True, False), (True, True)}
