"""What mails say: to operators by device, and to a device's user in plain words.

Trust: hostnames come from devices, names and reasons from operators, the rest from checks; all of
it is made printable.
"""

from __future__ import annotations

import textwrap
from itertools import groupby
from typing import TYPE_CHECKING

from penguind.domain.issue import worst_first
from penguindome.display import printable, printable_block

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence
    from datetime import datetime

    from penguind.domain.issue import Issue

_WIDTH = 76
_BRIEF = 200
_MOST_DEVICES = 200
_HOSTNAME_LENGTH = 64
_WHY = {
    "critical": "This is urgent: while it lasts, the computer and what is on it are in danger.",
    "high": "This matters: it makes it much easier to get at what is on the computer.",
    "medium": "This matters because small openings are what larger trouble begins with.",
    "low": "This is not urgent, but the computer is in better order without it.",
}


def by_device(issues: Sequence[Issue]) -> list[list[Issue]]:
    """Return issues by device, devices with the worst issues first."""
    ordered = sorted(issues, key=lambda one: one.device_id)
    groups = [
        sorted(group, key=worst_first)
        for _, group in groupby(ordered, key=lambda one: one.device_id)
    ]
    return sorted(groups, key=lambda group: worst_first(group[0]))


def operators_subject(issues: Sequence[Issue]) -> str:
    """Return the subject of a mail to operators."""
    groups = by_device(issues)
    worst = groups[0][0]
    where = host(worst)
    if len(issues) == 1:
        return f"PenguinDome: {worst.severity}: {where}: {printable(worst.name)}"
    devices = where if len(groups) == 1 else f"{len(groups)} devices, the worst is {where}"
    return f"PenguinDome: {len(issues)} issues ({worst.severity}) on {devices}"


def operators_text(
    issues: Sequence[Issue], *, mailed: Container[str], users_are_mailed: bool, fleet_id: str
) -> str:
    """Return the text of a mail to operators.

    Args:
        issues: what they are told, at least one.
        mailed: ids of devices whose users are mailed about the same.
        users_are_mailed: whether users are mailed at all.
        fleet_id: the fleet's id.
    """
    groups = by_device(issues)
    lines = [f"Open issues that want attention: {len(issues)}, on {_devices(len(groups))}.", ""]
    for group in groups[:_MOST_DEVICES]:
        lines += [f"Device {host(group[0])} ({printable(group[0].device_id)})"]
        for issue in group:
            lines += _operators_issue(issue)
        if users_are_mailed and group[0].device_id not in mailed and not _is_server(group[0]):
            lines.append("    Its user was not told: no user_email is set.")
        lines.append("")
    left = sum(len(group) for group in groups[_MOST_DEVICES:])
    if left:
        lines += [f"{left} more issues are not listed here.", ""]
    lines += [
        "penguinctl issue list             what is open",
        "penguinctl issue show ID          one issue, with what the check saw",
        "penguinctl issue snooze ID        be told no more for a time",
        "",
        f"penguind of the fleet {fleet_id} sent this by itself.",
    ]
    return _text(lines)


def user_subject(issues: Sequence[Issue]) -> str:
    """Return the subject of a mail to a device's user."""
    first = min(issues, key=worst_first)
    if len(issues) == 1:
        return f"Your computer {host(first)}: {printable(first.summary or first.name)}"
    return f"Your computer {host(first)} needs attention: {len(issues)} problems"


def user_text(issues: Sequence[Issue]) -> str:
    """Return the text of a mail to a device's user about its issues."""
    ordered = sorted(issues, key=worst_first)
    what = "a problem" if len(ordered) == 1 else f"{len(ordered)} problems"
    lines = ["Hello,", "", *_wrapped(f"your computer {host(ordered[0])} reports {what}.", ""), ""]
    for number, issue in enumerate(ordered, 1):
        lines += [*_user_issue(number, issue), ""]
    end = (
        "You need not answer this mail, or tell anybody when it is done: the computer reports it "
        "by itself, and then the issue closes by itself. Until then you will be reminded."
    )
    look = "To see what is open on the computer now, run this in a terminal there:"
    ask = "If something here is not clear, or looks wrong, ask those who look after your computers."
    lines += [*_wrapped(end, ""), "", *_wrapped(look, ""), "", "    penguin-agent issues", ""]
    return _text([*lines, *_wrapped(ask, "")])


def host(issue: Issue) -> str:
    """Return a device's name as it may stand anywhere."""
    name = printable(issue.hostname or issue.device_id)
    return name if len(name) <= _HOSTNAME_LENGTH else f"{name[: _HOSTNAME_LENGTH - 1]}…"


def _operators_issue(issue: Issue) -> Iterator[str]:
    head = f"{printable(issue.name)} [{issue.severity}] since {_time(issue.opened_time)}"
    if issue.alerted_time is not None:
        head += f", told {_time(issue.alerted_time)}"
    yield f"  {head}"
    yield from _wrapped(issue.summary, "    ")
    brief = " ".join(issue.remedy.split())
    if brief:
        yield from _wrapped(f"Remedy: {textwrap.shorten(brief, _BRIEF, placeholder=' …')}", "    ")
    yield f"    {printable(issue.issue_id)}"


def _user_issue(number: int, issue: Issue) -> Iterator[str]:
    yield from _wrapped(f"{number}. {issue.summary or issue.name}", "")
    yield f"   Since {_time(issue.opened_time)} ({printable(issue.name)})"
    yield from _wrapped(_WHY[issue.severity], "   ")
    if issue.remedy:
        yield "   What to do:"
        for line in printable_block(issue.remedy).split("\n"):
            yield from _wrapped(line, "     ") if line.strip() else [""]


def _is_server(issue: Issue) -> bool:
    return issue.device_id.startswith("server:")


def _devices(count: int) -> str:
    return "1 device" if count == 1 else f"{count} devices"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        printable(text), _WIDTH, initial_indent=indent, subsequent_indent=indent,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
