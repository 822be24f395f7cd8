"""penguinctl issue snooze, unsnooze, suspend and unsuspend: when nobody is to be told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from penguinctl import listing, moments, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.devices import find_some
from penguinctl.issues import (
    chosen,
    described,
    in_batches,
    reason_option,
    show_changed,
    which_options,
)
from penguinctl.output import output_option
from penguinctl.progress import Progress
from penguindome.display import printable
from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penguindome.v1 import device_pb2, issue_pb2

_MOST_HOURS = 24 * 366
_AT_ONCE = 1000
_STATES = ("pending", "active", "blocked")


@click.command(
    epilog="""\b
Examples:
  penguinctl issue snooze 01HZY3J5Q0G7X8K9M2N4P6R8ST --days 3 --reason "part is ordered"
  penguinctl issue snooze label:sales --name 'os-*' --until 2026-12-01
"""
)
@which_options
@click.option("--hours", type=click.IntRange(1, _MOST_HOURS), help="For so many hours.")
@click.option("--days", type=click.IntRange(1, 366), help="For so many days. [default: 1]")
@click.option("--until", metavar="TIME", help="Until a date or time, ISO; local without a zone.")
@reason_option
@output_option
@pass_app
def snooze(
    app: App,
    *,
    terms: tuple[str, ...],
    names: tuple[str, ...],
    everywhere: bool,
    hours: int | None,
    days: int | None,
    until: str | None,
    reason: str,
    output_format: str,
) -> None:
    """Have nobody told about open issues for some time.

    An issue that is snoozed already takes the new time, be it later or earlier. One that closes
    and opens again is a new one.
    """
    end = _end(app.now, hours, days, until)
    ids = chosen(app, terms, names, everywhere=everywhere)

    def act(some: Sequence[str]) -> Sequence[issue_pb2.Issue]:
        request = wire.issue_pb2.SnoozeIssuesRequest(
            issue_ids=some, until_unix_ms=moments.to_unix_ms(end), reason=reason
        )
        return list(app.call("issue.SnoozeIssues", request).snoozed)

    done = in_batches("Snoozing issues", ids, act)
    show_changed(
        output_format,
        "snoozed",
        done,
        lambda item: (
            f"Snoozed until {moments.short(item.snoozed_until_unix_ms, app.now)}: {described(item)}"
        ),
    )


@click.command(
    epilog="""\b
Examples:
  penguinctl issue unsnooze web-1
  penguinctl issue unsnooze --all --name 'os-*'
"""
)
@which_options
@reason_option
@output_option
@pass_app
def unsnooze(
    app: App,
    *,
    terms: tuple[str, ...],
    names: tuple[str, ...],
    everywhere: bool,
    reason: str,
    output_format: str,
) -> None:
    """Have people told about snoozed issues again."""
    ids = chosen(app, terms, names, everywhere=everywhere)

    def act(some: Sequence[str]) -> Sequence[issue_pb2.Issue]:
        request = wire.issue_pb2.UnsnoozeIssuesRequest(issue_ids=some, reason=reason)
        return list(app.call("issue.UnsnoozeIssues", request).unsnoozed)

    done = in_batches("Ending snoozes", ids, act)
    show_changed(
        output_format, "unsnoozed", done, lambda item: f"No longer snoozed: {described(item)}"
    )


def _end(now: datetime, hours: int | None, days: int | None, until: str | None) -> datetime:
    """Return when a snooze ends.

    Raises:
        click.UsageError: More than one option says it.
        InvalidInput: --until is no time.
    """
    if sum(given is not None for given in (hours, days, until)) > 1:
        raise click.UsageError("give one of --hours, --days and --until")
    if until is None:
        return now + (timedelta(hours=hours) if hours else timedelta(days=days or 1))
    try:
        return datetime.fromisoformat(until).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(
            "this is no ISO date or time",
            subject=until,
            remedy="Give e.g. 2026-12-01, 2026-12-01T09:00 or 2026-12-01T09:00+01:00",
        ) from error


@click.command(
    epilog="""\b
Examples:
  penguinctl issue suspend web-1 --reason "on holiday"
  penguinctl issue suspend label:spare
"""
)
@click.argument("selectors", nargs=-1, required=True, metavar="HOST...")
@click.option("--reason", default="", help="Why; device show tells it.")
@output_option
@pass_app
def suspend(app: App, selectors: tuple[str, ...], reason: str, output_format: str) -> None:
    """Have nobody told about devices until they report again.

    Their issues open and close as ever.
    """
    found = find_some(app, selectors, _STATES)

    def act(ids: Sequence[str]) -> Sequence[str]:
        request = wire.device_pb2.SuspendDevicesRequest(device_ids=ids, reason=reason)
        return list(app.call("device.SuspendDevices", request).device_ids)

    changed = _in_batches("Suspending devices", found, act)
    _changed(output_format, found, changed, "Suspended", "suspended already")


@click.command(epilog="\b\nExample:\n  penguinctl issue unsuspend web-1\n")
@click.argument("selectors", nargs=-1, required=True, metavar="HOST...")
@output_option
@pass_app
def unsuspend(app: App, selectors: tuple[str, ...], output_format: str) -> None:
    """Have people told about suspended devices again."""
    found = find_some(app, selectors, _STATES)

    def act(ids: Sequence[str]) -> Sequence[str]:
        request = wire.device_pb2.UnsuspendDevicesRequest(device_ids=ids)
        return list(app.call("device.UnsuspendDevices", request).device_ids)

    changed = _in_batches("Ending suspensions", found, act)
    _changed(output_format, found, changed, "No longer suspended", "not suspended")


def _in_batches(
    label: str,
    found: Sequence[device_pb2.Device],
    act: Callable[[Sequence[str]], Sequence[str]],
) -> set[str]:
    """Act on as many devices at a time as the server takes; return ids of those it changed."""
    changed: set[str] = set()
    with Progress(label, len(found)) as work:
        for start in range(0, len(found), _AT_ONCE):
            ids = [item.device_id for item in found[start : start + _AT_ONCE]]
            changed.update(act(ids))
            work.step(len(ids))
    return changed


def _changed(
    output_format: str,
    found: Sequence[device_pb2.Device],
    changed: set[str],
    word: str,
    otherwise: str,
) -> None:
    """Tell which devices are different now, and of the others why they are not."""

    def human(items: Sequence[device_pb2.Device]) -> None:
        for item in items:
            said = word if item.device_id in changed else f"Unchanged, {otherwise}"
            ui.out(f"{said}: {printable(item.hostname)} ({printable(item.device_id)})")

    listing.show(
        output_format,
        "devices",
        found,
        lambda item: {
            "device_id": item.device_id,
            "hostname": item.hostname,
            "changed": item.device_id in changed,
        },
        blank=wire.device_pb2.Device(),
        human=human,
    )
