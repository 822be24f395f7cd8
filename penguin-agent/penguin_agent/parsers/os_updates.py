"""Tell whether updates wait, by the distribution's own tools and what they last fetched.

Nothing here refreshes the live package database: on Arch that would prepare a partial upgrade.
Source: apt-get(8), apt 2.6; apt-check of update-notifier-common 3.192; pacman(8), pacman 6.1;
arch-audit 0.2; dnf(8), dnf 4.21 and dnf5(8), dnf5 5.2.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from penguin_agent.parsers import os_release
from penguin_agent.parsers.tools import Answer, Run, read_text
from penguindome.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

UNKNOWN = "unknown"
_FRESH = timedelta(days=2)
_APT_CHECK = "/usr/lib/update-notifier/apt-check"
_APT_STAMPS = (
    "var/lib/apt/periodic/update-success-stamp",
    "var/lib/apt/periodic/update-stamp",
    "var/lib/apt/lists/*Release",
)
_PACMAN_STAMPS = ("var/lib/pacman/sync/*.db",)
_DNF_STAMPS = (
    "var/cache/dnf/last_makecache",
    "var/cache/dnf/*/repodata/repomd.xml",
    "var/cache/libdnf5/*/repodata/repomd.xml",
)
# Four tools in a row must be done before the plugin's own minute is over.
_PATIENCE_SECONDS = 14
_MOST_NAMES = 2000


def look(root: Path, run: Run, now: datetime) -> dict[str, Any] | str:
    """Return what is known about updates; "unknown" for a distribution we do not know.

    release: a newer release of the distribution exists. current: the lists of packages are younger
    than two days. patches, security_patches: updates wait. Each true, false or "unknown". That no
    updates wait is only said by current lists: old ones do not know of them.
    """
    found = _look(root, run, now)
    if found is not None and not found["current"]:
        for key in ("patches", "security_patches"):
            found[key] = found[key] or UNKNOWN
    return found or UNKNOWN


def _look(root: Path, run: Run, now: datetime) -> dict[str, Any] | None:
    release = read_text(root / "etc/os-release") or read_text(root / "usr/lib/os-release")
    variables = os_release.parse(release or "")
    family = {variables.get("ID", ""), *variables.get("ID_LIKE", "").split()}
    if family & {"debian", "ubuntu"}:
        return _debian(root, run, now)
    if "arch" in family:
        return _arch(root, run, now)
    if family & {"fedora", "rhel", "centos"}:
        return _fedora(root, run, now)
    return None


def _debian(root: Path, run: Run, now: datetime) -> dict[str, Any]:
    patches, security = _apt(run)
    return {
        "release": _new_release(_ask(run, "do-release-upgrade", "-c")),
        "current": _is_fresh(root, _APT_STAMPS, now),
        "patches": patches,
        "security_patches": security,
    }


def _new_release(answer: Answer | None) -> bool | str:
    if answer is not None and answer.code == 0:
        return True
    if answer is not None and answer.code == 1 and not answer.stderr.strip():
        return False
    return UNKNOWN


def _apt(run: Run) -> tuple[bool | str, bool | str]:
    """Return whether packages and security fixes wait, by apt-check or else by a dry run."""
    answer = _ask(run, _APT_CHECK)
    counts = answer.stderr.strip().split(";") if answer and answer.code == 0 else []
    if len(counts) == 2 and all(count.isdecimal() for count in counts):
        return int(counts[0]) > 0, int(counts[1]) > 0
    answer = _ask(run, "apt-get", "-s", "-o", "Debug::NoLocking=true", "dist-upgrade")
    if answer is None or answer.code != 0:
        return UNKNOWN, UNKNOWN
    patches, security = waiting_packages(answer.stdout)
    if patches and not security:
        policy = _ask(run, "apt-cache", "policy", *_names(answer.stdout))
        security = policy is not None and skips_security(policy.stdout)
    return patches, security


def _names(simulation: str) -> list[str]:
    words = (line.split() for line in simulation.splitlines() if line.startswith("Inst "))
    return [name[1] for name in words if len(name) > 1][:_MOST_NAMES]


def skips_security(policy: str) -> bool:
    """Return whether a security fix lies between the installed and the newest version.

    A later version has the fix too but comes from elsewhere, as after a point release of Debian.
    """
    newer = True
    for line in policy.splitlines():
        if line.startswith(" *** "):
            newer = False
        elif not line.startswith(" "):
            newer = True
        elif newer and line.startswith(" " * 8) and "-security" in line:
            return True
    return False


def waiting_packages(simulation: str) -> tuple[bool, bool]:
    """Return whether a dry run of apt-get would install anything, and a security fix.

    A line is `Inst NAME [OLD] (NEW ORIGIN, ORIGIN [ARCH])`; only the part in parentheses tells
    where a package comes from.
    """
    origins = [
        line.partition("(")[2].lower()
        for line in simulation.splitlines()
        if line.startswith("Inst ")
    ]
    return bool(origins), any("-security" in o or "debian-security" in o for o in origins)


def _arch(root: Path, run: Run, now: datetime) -> dict[str, Any]:
    waiting = _ask(run, "pacman", "-Qu")
    patches: bool | str = UNKNOWN
    if waiting is not None and waiting.code == 0:
        patches = any(line.strip() for line in waiting.stdout.splitlines())
    elif waiting is not None and waiting.code == 1 and not waiting.stderr.strip():
        patches = False
    audit = _ask(run, "arch-audit", "-u")
    return {
        "release": False,  # there is only one
        "current": _is_fresh(root, _PACMAN_STAMPS, now),
        "patches": patches,
        "security_patches": False if patches is False else _audited(audit),
        "installed_packages": _packages(_ask(run, "pacman", "-Q")),
    }


def _audited(answer: Answer | None) -> bool | str:
    if answer is None or answer.code != 0:
        return UNKNOWN
    lines = [line for line in answer.stdout.splitlines() if line.strip()]
    return any("from testing repos" not in line for line in lines)


def _fedora(root: Path, run: Run, now: datetime) -> dict[str, Any]:
    return {
        "release": UNKNOWN,
        "current": _is_fresh(root, _DNF_STAMPS, now),
        "patches": _upgrades(_ask(run, "dnf", "-q", "-C", "check-upgrade")),
        "security_patches": _upgrades(_ask(run, "dnf", "-q", "-C", "check-upgrade", "--security")),
        "installed_packages": _packages(_ask(run, "rpm", "-qa")),
    }


def _upgrades(answer: Answer | None) -> bool | str:
    """Return what dnf means: 100 = updates wait, 0 = none, anything else = it cannot tell."""
    return {100: True, 0: False}.get(answer.code if answer else -1, UNKNOWN)


def _packages(answer: Answer | None) -> list[str]:
    """Return the lines of a list of packages, sorted."""
    text = answer.stdout if answer and answer.code == 0 else ""
    return sorted(line.strip() for line in text.splitlines() if line.strip())


def _is_fresh(root: Path, patterns: tuple[str, ...], now: datetime) -> bool:
    """Return whether any of the files is at most two days old; one of the future tells nothing."""
    paths = [path for pattern in patterns for path in root.glob(pattern)]
    return any(-_FRESH < now - _written(path) < _FRESH for path in paths)


def _written(path: Path) -> datetime:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return datetime.min.replace(tzinfo=UTC)


def _ask(run: Run, *words: str) -> Answer | None:
    try:
        return run(*words, timeout_seconds=_PATIENCE_SECONDS)
    except (NotFound, Unavailable):
        return None
