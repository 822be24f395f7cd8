"""Tell systemd how the daemon is doing. Source: sd_notify(3), the protocol in its NOTES."""

from __future__ import annotations

import os
import socket


def notify(message: str, address: str | None = None) -> bool:
    """Send a line such as READY=1; returns False where no service manager listens."""
    target = os.environ.get("NOTIFY_SOCKET", "") if address is None else address
    if not target.startswith(("/", "@")):
        return False
    if target.startswith("@"):
        target = "\0" + target[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.sendto(message.encode(), target)
    except OSError:
        return False
    return True
