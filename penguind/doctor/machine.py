"""Checks of the machine: settings, user, files, disk, clock, systemd."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from penguind.check_loader import CheckLoader
from penguind.config import load_settings
from penguind.doctor.running import Finding, fail, ok, warn
from penguind.identity.authority import anchor_key, key_files
from penguind.identity.authority_files import authority_dir
from penguind.privileges import service_user

if TYPE_CHECKING:
    from penguind.doctor.examination import Examination

_PROGRAM_SECONDS = 5
_GIBIBYTE = 1 << 30
_FEW_BYTES, _TOO_FEW_BYTES = 2 * _GIBIBYTE, _GIBIBYTE // 4
_FEW_INODES, _TOO_FEW_INODES = 0.05, 0.01
_ROOMY = "make room on that file system, or shorten [retention]"


def settings(examination: Examination) -> Finding:
    """Check that the settings can be read, and say what a server needs."""
    found = load_settings(examination.config)
    facts = examination.config.stat()
    if facts.st_mode & 0o022:
        return fail(
            f"{examination.config} can be changed by others than its owner",
            f"chmod go-w {examination.config}",
        )
    if not found.server.fleet_id or not found.server.advertised_host:
        return fail("server.fleet_id or server.advertised_host is not set", "run penguind setup")
    return ok(f"{examination.config} is valid; fleet {found.server.fleet_id}")


def user(examination: Examination) -> Finding:
    """Check that the service's user exists, and that this is it or root."""
    name = examination.settings.server.user
    if os.geteuid() == 0:
        return ok(f"{name} has uid {service_user(name).pw_uid}")
    try:
        expected = pwd.getpwnam(name).pw_uid
    except KeyError:
        return warn(f"there is no user {name}", "make it, or correct server.user")
    if expected != os.geteuid():
        return warn(
            f"server.user is {name}, but uid {os.geteuid()} looks",
            "run penguind doctor as root or as that user",
        )
    return ok(f"{name} has uid {expected}")


def secret_files(examination: Examination) -> Finding:
    """Check that nobody else can read or replace what is secret."""
    loose = [text for path in _secrets(examination) if (text := _loose(path, examination.uid))]
    if loose:
        return fail("; ".join(loose), "chown and chmod them as penguind check-config says")
    return ok("keys, passwords and state folder are closed to others")


def disk(examination: Examination) -> Finding:
    """Check the room for data."""
    facts = os.statvfs(examination.state_dir)
    free = facts.f_bavail * facts.f_frsize
    text = f"{free / _GIBIBYTE:.1f} GiB are free at {examination.state_dir}"
    if free < _TOO_FEW_BYTES:
        return fail(text, _ROOMY)
    return warn(text, _ROOMY) if free < _FEW_BYTES else ok(text)


def inodes(examination: Examination) -> Finding:
    """Check the room for files; some file systems do not count them."""
    facts = os.statvfs(examination.state_dir)
    if not facts.f_files:
        return ok("this file system has no fixed number of files")
    share = facts.f_favail / facts.f_files
    text = f"{share:.0%} of the inodes are free at {examination.state_dir}"
    if share < _TOO_FEW_INODES:
        return fail(text, _ROOMY)
    return warn(text, _ROOMY) if share < _FEW_INODES else ok(text)


def clock(examination: Examination) -> Finding:
    """Check that the clock can be right: certificates live on it."""
    installed = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    remedy = "have it set by NTP: timedatectl set-ntp true"
    if examination.now < installed - timedelta(days=1):
        return fail(f"it is {examination.now:%Y-%m-%d}, before penguind was installed", remedy)
    state = _said("timedatectl", "show", "--property=NTPSynchronized", "--value")
    if state == "no":
        return warn("the clock is not synchronised", remedy)
    known = "synchronised" if state == "yes" else "plausible; nobody says whether synchronised"
    return ok(f"{examination.now:%Y-%m-%dT%H:%M:%SZ}, {known}")


def site_checks(examination: Examination) -> Finding:
    """Check that all checks can be used."""
    directory = examination.settings.checks_directory
    loader = CheckLoader(directory, examination.settings.calendars)
    loader.refresh()
    problems = loader.current.problems
    if problems:
        first = f"{problems[0].origin}: {problems[0].reason}"
        return warn(
            f"{len(problems)} files are not used, e.g. {first}", f"mend them in {directory}"
        )
    return ok(f"the shipped checks and those in {directory} are usable")


def unit(_examination: Examination) -> Finding:
    """Check what systemd says of the service."""
    if not Path("/run/systemd/system").is_dir():
        return ok("systemd does not run here")
    words = ("show", "penguind.service", "--property=LoadState,ActiveState,NRestarts")
    facts = dict(line.partition("=")[::2] for line in _said("systemctl", *words).splitlines())
    if facts.get("LoadState") != "loaded":
        return warn(
            "there is no penguind.service", "install the unit, or ignore this in a container"
        )
    state = facts.get("ActiveState", "unknown")
    if state != "active":
        return fail(
            f"penguind.service is {state}", "journalctl -u penguind; systemctl start penguind"
        )
    restarts = facts.get("NRestarts", "0")
    if restarts not in ("", "0"):
        return warn(f"penguind.service was restarted {restarts} times", "journalctl -u penguind")
    return ok("penguind.service is active")


def _secrets(examination: Examination) -> list[Path]:
    found, state_dir = examination.settings, examination.state_dir
    named = [one.key for one in found.listeners] + found.alerts.secret_files()
    named += [found.database.password_file] if found.database.password_file else []
    named += [found.path] if found.has_secret() else []
    anchor = anchor_key(state_dir)
    named += [anchor] if anchor.exists() else []
    return [state_dir, authority_dir(state_dir), *key_files(state_dir), *dict.fromkeys(named)]


def _loose(path: Path, uid: int) -> str:
    """Return what is wrong with a secret file or folder, empty if nothing is."""
    facts = path.stat()
    if facts.st_uid not in (0, uid):
        return f"{path} belongs to uid {facts.st_uid}"
    if facts.st_mode & 0o037:
        return f"{path} has mode {stat.S_IMODE(facts.st_mode):04o}"
    return ""


def _said(*words: str) -> str:
    """Return what a program prints, empty if there is none or it fails."""
    try:
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            timeout=_PROGRAM_SECONDS,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
