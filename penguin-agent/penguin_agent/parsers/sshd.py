"""Tell whether an SSH server answers here, and how it is set up.

Source: sshd(8), OpenSSH 9.9 (which split sshd-session from the listener), systemd.socket(5).
"""

from __future__ import annotations

import os
import shlex
from typing import TYPE_CHECKING, Any

from penguin_agent.parsers.tools import Run, read_text
from penguindome.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

_UNITS = ("ssh.socket", "sshd.socket", "ssh.service", "sshd.service")
# What a connection would get; the Match blocks of the configuration are answered for it.
_CONNECTION = "user=root,host=localhost,addr=127.0.0.1"


def look(root: Path, run: Run) -> dict[str, Any]:
    """Return the state of the SSH server: running, stopped or missing, and its configuration.

    config: each keyword with its value, a list where it stands more than once; "unknown" when sshd
    does not tell.
    """
    listener = listener_command(root)
    running = listener is not None or is_unit_active(run)
    config = effective_config(run, configuration_file(listener or ()))
    if config is None:
        return {"status": "running", "config": "unknown"} if running else {"status": "missing"}
    found: dict[str, Any] = {"status": "running" if running else "stopped", "config": config}
    if isinstance(config, dict):
        found["passwords"] = allows_passwords(config)
    return found


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
        if comm in ("sshd", "in.sshd"):
            words = listener_words(read_text(root / "proc" / name / "cmdline") or "")
            if words is not None:
                return words
    return None


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


def effective_config(run: Run, file: str | None) -> dict[str, Any] | str | None:
    """Return sshd's own account of its configuration; None without sshd, "unknown" if it fails."""
    chosen = () if file is None else ("-f", file)
    try:
        answer = run("sshd", "-T", "-C", _CONNECTION, *chosen)
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
    """Return whether somebody could log in with a password, by either of sshd's two ways."""
    if config.get("passwordauthentication") == "yes":
        return True
    keyboard = (
        config.get("kbdinteractiveauthentication")
        or config.get("challengeresponseauthentication")  # before OpenSSH 8.7
    )
    return keyboard == "yes" and config.get("usepam") == "yes"
