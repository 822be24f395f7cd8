"""Tell whether an SSH server answers here, and how it is set up.

Source: sshd(8), OpenSSH 9.9 (which split sshd-session from the listener), systemd.socket(5).
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from penguin_agent.parsers import sshd_match
from penguin_agent.parsers.tools import Run, read_text
from penguindome.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

_UNITS = ("ssh.socket", "sshd.socket", "ssh.service", "sshd.service")
# Strangers from the network (TEST-NET addresses of RFC 5737): what they get decides. Everything a
# Match block can ask about is given, for without it sshd does not answer.
_FROM = "host=stranger.invalid,addr=198.51.100.1,laddr=192.0.2.1,lport=22"
_ROOT = f"user=root,{_FROM}"
_OTHER = f"user=stranger,{_FROM}"
_KEYBOARD = (
    "kbdinteractiveauthentication",
    "challengeresponseauthentication",
)  # the 2nd before 8.7


def look(root: Path, run: Run) -> dict[str, Any]:
    """Return the state of the SSH server: running, stopped or missing, and its configuration.

    config: each keyword with its value for root, who comes from the network, a list where it stands
    more than once; "unknown" when sshd does not tell. passwords, root_passwords: somebody, or root,
    could log in with a password, under whatever conditions.
    """
    listener = listener_command(root)
    running = listener is not None or is_unit_active(run)
    file = configuration_file(listener or ())
    config = effective_config(run, file, _ROOT)
    if config is None:
        return {"status": "running", "config": "unknown"} if running else {"status": "missing"}
    found: dict[str, Any] = {"status": "running" if running else "stopped", "config": config}
    other = effective_config(run, file, _OTHER)
    if isinstance(config, dict) and isinstance(other, dict):
        return {**found, **password_ways(config, other, sshd_match.conditional(root, file))}
    return {**found, "config": "unknown"}


def password_ways(
    config: dict[str, Any], other: dict[str, Any], conditional: frozenset[tuple[str, str]]
) -> dict[str, bool]:
    """Return whether passwords work for somebody, and for root.

    conditional: what stands in Match blocks; there a yes is for some connection or other.
    """
    keyboard = any((name, "yes") in conditional for name in _KEYBOARD)
    opened = ("passwordauthentication", "yes") in conditional or (
        keyboard and config.get("usepam") == "yes"
    )
    passwords = allows_passwords(config) or allows_passwords(other) or opened
    root_opened = ("permitrootlogin", "yes") in conditional and passwords
    root = config.get("permitrootlogin") == "yes" and (allows_passwords(config) or opened)
    return {"passwords": passwords, "root_passwords": root or root_opened}


def listener_command(root: Path) -> tuple[str, ...] | None:
    """Return the command line of a listening sshd, None when no process is one.

    A process that ends meanwhile, or that we may not look at, is passed over.
    """
    try:
        names = sorted(os.listdir(root / "proc"))  # noqa: PTH208 -- names are enough
    except OSError:
        return None
    for name in names:
        if not name.isdecimal():
            continue
        comm = (read_text(root / "proc" / name / "comm") or "").strip()
        status = read_text(root / "proc" / name / "status") or ""
        if comm in ("sshd", "in.sshd") and is_of_this_machine(status):
            words = listener_words(read_text(root / "proc" / name / "cmdline") or "")
            if words is not None:
                return words
    return None


def is_of_this_machine(status: str) -> bool:
    """Return False for a process of another user than root, and for one in a container.

    Anybody can call a program sshd. Source: proc_pid_status(5): Uid, and NSpid, which has a number
    for each PID namespace from ours inwards.
    """
    fields = dict(line.partition(":")[::2] for line in status.splitlines())
    return fields.get("Uid", "0").split()[:1] == ["0"] and len(fields.get("NSpid", "").split()) < 2


def listener_words(cmdline: str) -> tuple[str, ...] | None:
    """Return the words of a listener's command line; None for a session's process.

    sshd rewrites its title: `sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups` is the
    listener, `sshd: alice@pts/0` a session that can outlive it.
    """
    title = cmdline.split("\0", 1)[0]
    if not title.startswith("sshd: "):
        return tuple(word for word in cmdline.split("\0") if word) or None
    command, found, _ = title.removeprefix("sshd: ").partition(" [listener]")
    if not found:
        return None
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return ("sshd",)


def configuration_file(words: tuple[str, ...]) -> str | None:
    """Return the file that a listener was started with by -f."""
    for index, word in enumerate(words[1:], start=1):
        if word == "-f" and index + 1 < len(words):
            return words[index + 1]
        if word.startswith("-f") and len(word) > 2:
            return word[2:]
    return None


def is_unit_active(run: Run) -> bool:
    """Return whether systemd listens for it, or says that it runs."""
    try:
        answer = run("systemctl", "is-active", *_UNITS)
    except (NotFound, Unavailable):
        return False
    return "active" in answer.stdout.split()


def effective_config(run: Run, file: str | None, connection: str) -> dict[str, Any] | str | None:
    """Return sshd's own account of its configuration; None without sshd, "unknown" if it fails."""
    chosen = () if file is None else ("-f", file)
    try:
        answer = run("sshd", "-T", "-C", connection, *chosen)
    except NotFound:
        return None
    except Unavailable:
        return "unknown"
    config = parse_config(answer.stdout) if answer.code == 0 else {}
    return config or "unknown"


def parse_config(text: str) -> dict[str, Any]:
    """Return keyword and value of each line that `sshd -T` printed."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword:
            found.setdefault(keyword.lower(), []).append(value.strip())
    return {keyword: v[0] if len(v) == 1 else v for keyword, v in found.items()}


def allows_passwords(config: dict[str, Any]) -> bool:
    """Return whether a password alone lets in, by either of sshd's two ways."""
    usable = {"password"} if config.get("passwordauthentication") == "yes" else set()
    if config.get("usepam") == "yes" and any(config.get(name) == "yes" for name in _KEYBOARD):
        usable.add("keyboard-interactive")
    methods = str(config.get("authenticationmethods", "any"))
    if methods == "any":
        return bool(usable)
    lists = ({way.partition(":")[0] for way in one.split(",")} for one in methods.split())
    return any(ways <= usable for ways in lists)
