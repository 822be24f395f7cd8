"""`penguin-agent sessions` and `consent`: who is on this device, and whether they may."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from penguin_agent.control import ask
from penguindome.display import printable

if TYPE_CHECKING:
    import argparse

    from penguin_agent.config import Settings


def sessions(options: argparse.Namespace, settings: Settings) -> int:
    """List sessions, or end one or all."""
    socket = settings.paths.socket
    if options.end is not None:
        count = ask(socket, "sessions-end", id="" if options.end == "all" else options.end)
        print(f"{count} session(s) are being ended.")  # noqa: T201 -- a CLI
        return 0
    found = ask(socket, "sessions")
    if options.output == "json":
        print(json.dumps(found, indent=2))  # noqa: T201 -- a CLI
        return 0
    for one in found["sessions"]:
        _say(f"{one['id']}  since {one['since']}  {one['operator']} as {one['user']}", one)
    for one in found["waiting_for_consent"]:
        _say(f"{one['id']}  waits for consent  {one['operator']} as {one['user']}", one)
    if not found["sessions"] and not found["waiting_for_consent"]:
        print("No session is open.")  # noqa: T201 -- a CLI
    return 0


def consent(options: argparse.Namespace, settings: Settings) -> int:
    """Agree to a session that waits, or refuse it."""
    agreed = options.answer == "yes"
    found = ask(settings.paths.socket, "consent", id=options.id or "", agreed=agreed)
    word = "may begin" if agreed else "is refused"
    text = f"The session of {found['operator']} as {found['user']} {word}."
    print(printable(text))  # noqa: T201 -- a CLI
    return 0


def _say(head: str, one: dict[str, str]) -> None:
    reason = f": {one['reason']}" if one.get("reason") else ""
    print(printable(head + reason))  # noqa: T201 -- a CLI
