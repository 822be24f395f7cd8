"""Tell whether somebody without an account could start a session here.

Only LightDM with its guest helper, and the user xguest of Fedora, offer this; GDM, SDDM, greetd and
the others have no such thing. Source: lightdm.conf of LightDM 1.32, xguest(8).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguin_agent.parsers.tools import read_text

if TYPE_CHECKING:
    from pathlib import Path

# Later ones win, as in LightDM itself.
_FOLDERS = (
    "usr/share/lightdm/lightdm.conf.d",
    "etc/xdg/lightdm/lightdm.conf.d",
    "etc/lightdm/lightdm.conf.d",
)
_LAST = "etc/lightdm/lightdm.conf"
_HELPERS = ("usr/sbin/guest-account", "usr/bin/guest-account", "usr/local/sbin/guest-account")
_UNIT = "etc/systemd/system/display-manager.service"
_DEBIAN = "etc/X11/default-display-manager"
_NEVER = frozenset({"gdm", "gdm3", "sddm", "greetd", "lxdm", "ly", "xdm", "slim", "plasmalogin"})


def look(root: Path) -> dict[str, Any] | None:
    """Return {"enabled": true, false or "unknown"}; None on a machine without graphical log-in."""
    if has_user(read_text(root / "etc/passwd") or "", "xguest"):
        return {"enabled": True}
    manager = display_manager(root)
    if manager is None:
        return None
    if manager == "lightdm":
        return {"enabled": _has_helper(root) and allows_guest(_configuration(root))}
    return {"enabled": False if manager in _NEVER else "unknown"}


def display_manager(root: Path) -> str | None:
    """Return the name of the program that systemd, or Debian's own file, starts for log-ins."""
    try:
        return (root / _UNIT).readlink().name.removesuffix(".service")
    except OSError:
        path = (read_text(root / _DEBIAN) or "").strip()
        return path.rpartition("/")[2] or None


def allows_guest(texts: list[str]) -> bool:
    """Return whether any seat takes guests, after all files; LightDM's default is that it does.

    Only the word false forbids it: LightDM takes what it cannot read for its default.
    """
    seats: dict[str, str] = {"Seat:*": "true"}
    for text in texts:
        section = ""
        for line in map(str.strip, text.splitlines()):
            if line.startswith("[") and line.endswith("]"):
                section = line[1:-1].strip().replace("SeatDefaults", "Seat:*")
                continue
            name, _, value = (part.strip() for part in line.partition("="))
            if name == "allow-guest" and section.startswith("Seat:"):
                seats[section] = value.lower()
    return any(value != "false" for value in seats.values())


def has_user(passwd: str, name: str) -> bool:
    """Return whether passwd has that user."""
    return any(line.startswith(f"{name}:") for line in passwd.splitlines())


def _has_helper(root: Path) -> bool:
    return any((root / helper).exists() for helper in _HELPERS)


def _configuration(root: Path) -> list[str]:
    paths = [path for folder in _FOLDERS for path in sorted((root / folder).glob("*.conf"))]
    return [text for path in [*paths, root / _LAST] if (text := read_text(path)) is not None]
