"""Help plugins to find the people at the screen and to ask on their behalf."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from functools import cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

TIMEOUT_SECONDS = 30
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_WHO_X = re.compile(r"(\S+)\s.*\((:\d[^)]*)\)\s*$", re.MULTILINE)
_X_SERVERS = ("/Xorg", "/Xwayland", "/X")
# Borrowed variables come from a process that its user controls: nothing that a loader or an
# interpreter obeys is among them.
_BORROWED = re.compile(
    r"DISPLAY|WAYLAND_DISPLAY|XAUTHORITY|DBUS_SESSION_BUS_ADDRESS|HOME|USER|LOGNAME|LANG|LC_[A-Z]+"
    r"|DESKTOP_SESSION|XDG_(?:RUNTIME_DIR|SESSION_[A-Z]+|CURRENT_DESKTOP|CONFIG_HOME|DATA_HOME"
    r"|CACHE_HOME|SEAT|VTNR)|GNOME_DESKTOP_SESSION_ID|KDE_[A-Z_]+|SWAYSOCK"
    r"|HYPRLAND_INSTANCE_SIGNATURE"
)


def logged_in() -> bool:
    """Tell whether `who` knows anybody."""
    return bool(_who().strip())


@cache
def find_who_x_users() -> list[tuple[str, str]]:
    """Return (user, display) of those whom `who` shows at an X display."""
    return parse_who(_who())


def parse_who(text: str) -> list[tuple[str, str]]:
    """Return (user, display) from lines such as `jik tty7 2017-07-19 08:00 (:0)`.

    Source: who(1), coreutils 9.1.
    """
    return [(match[1], match[2]) for match in _WHO_X.finditer(text)]


@cache
def find_xinit_users() -> list[tuple[str, str]]:
    """Return (user, display) of those who started X by xinit.

    The display stands in the X server's command line; its owner is the oldest process that has it
    in its environment.
    """
    starters = {
        process["pid"]
        for process in process_dict_iter(("exe", "pid"))
        if process["exe"].endswith("/xinit")
    }
    displays = [
        display
        for process in process_dict_iter(("exe", "ppid", "cmdline"))
        if process["ppid"] in starters and process["exe"].endswith(_X_SERVERS)
        for display in [_display(process["cmdline"])]
        if display
    ]
    return [(owner, display) for display in displays for owner in _owners(display)]


@cache
def find_x_users() -> list[tuple[str, str]]:
    """Return (user, display) of all who are at an X display, sorted."""
    return sorted({*find_who_x_users(), *find_xinit_users()})


@cache
def find_greetd_users() -> list[tuple[str, str]]:
    """Return (user, seat) of greetd's direct children."""
    greeters = {
        process["pid"]
        for process in process_dict_iter(("name", "pid"))
        if process["name"] == "greetd"
    }
    return [
        (process["username"], process["environ"]["XDG_SEAT"])
        for process in process_dict_iter(("ppid", "username", "environ"))
        if process["ppid"] in greeters and "XDG_SEAT" in process["environ"]
    ]


def process_dict_iter(attrs: Collection[str] | None = None) -> Iterator[dict[str, Any]]:
    """Yield processes as dictionaries; those that vanish or hide an attribute are left out."""
    for process in psutil.process_iter():
        try:
            found = process.as_dict(attrs=None if attrs is None else list(attrs))
        except (FileNotFoundError, ProcessLookupError, psutil.NoSuchProcess):
            continue
        if all(value is not None for value in found.values()):
            yield found


class DBusUser:
    """Run commands as a user, on that user's session bus."""

    def __init__(self, user: str, display: str) -> None:
        """Find a process of the user whose environment can be borrowed.

        Args:
            user: A user name.
            display: The value of DISPLAY.

        Raises:
            KeyError: The user has no session bus on that display.
        """
        self.user = user
        self.display = display
        self.environ = _session_environment(user, display)

    def __str__(self) -> str:
        """Return who and where."""
        return f"<DBusUser({self.user!r}, {self.display!r})>"

    def command(self, cmd: str | Sequence[str], stderr: Any = None) -> str:
        """Run a command and return what it prints.

        Args:
            cmd: A list of words, or one text for the user's own `sh`.
            stderr: As for `subprocess.run`.

        Raises:
            CalledProcessError: It failed.
        """
        words = ["/bin/sh", "-c", cmd] if isinstance(cmd, str) else list(cmd)
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=self.environ,
            cwd="/",
            timeout=TIMEOUT_SECONDS,
            start_new_session=True,
            check=True,
            **_become(self.user),
        )
        return done.stdout.decode("utf-8", "replace")


def _become(user: str) -> dict[str, Any]:
    """Return the options that make a child another user; none where it is this one already."""
    entry = pwd.getpwnam(user)
    if entry.pw_uid == os.geteuid():
        return {}
    groups = os.getgrouplist(user, entry.pw_gid)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": groups}


@cache
def _session_environment(user: str, display: str) -> dict[str, str]:
    for process in process_dict_iter(("username", "environ")):
        environment = process["environ"]
        bus = environment.get("DBUS_SESSION_BUS_ADDRESS", "disabled")
        if (
            process["username"] == user
            and environment.get("DISPLAY") == display
            and not bus.startswith("disabled")
        ):
            return {"PATH": _PATH, **_borrowed(environment)}
    raise KeyError((user, display))


def _borrowed(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if _BORROWED.fullmatch(name)}


def _display(words: Sequence[str]) -> str:
    return next((word for word in words if re.fullmatch(r":\d+(\.\d+)?", word)), "")


def _owners(display: str) -> list[str]:
    """Return the owner of the oldest process on a display, or nobody."""
    processes = [
        process
        for process in process_dict_iter(("environ", "username", "create_time"))
        if process["environ"].get("DISPLAY") == display
    ]
    oldest = sorted(processes, key=itemgetter("create_time"))[:1]
    return [process["username"] for process in oldest]


def _who() -> str:
    try:
        done = subprocess.run(
            ["who"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env={"PATH": _PATH, "LC_ALL": "C"},
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.decode("utf-8", "replace")
