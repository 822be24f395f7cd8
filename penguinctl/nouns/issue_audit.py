"""penguinctl issue audit: run the checks now, and see what stands."""

from __future__ import annotations

import sys
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from penguinctl import devices, issue_view, moments, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.issues import described
from penguinctl.output import output_option
from penguinctl.progress import Progress
from penguinctl.severity import styled
from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguindome.v1 import issue_pb2

# An audit of a large fleet judges thousands of devices.
_AUDIT_SECONDS = 300.0
_IGNORED = ("grace", "snoozed", "suspended", "filters")
_WORDS = {
    "grace": "in their grace period",
    "snoozed": "snoozed",
    "suspended": "of suspended devices",
    "filtered": "held back by a filter",
    "recent": "told recently",
}


def _audit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    options = [
        click.option("--ignore-grace-period", "grace", is_flag=True, help="Count those in grace."),
        click.option("--ignore-snoozed", "snoozed", is_flag=True, help="Count snoozed ones."),
        click.option("--ignore-suspended", "suspended", is_flag=True, help="And suspended ones."),
        click.option("--ignore-filters", "filters", is_flag=True, help="Count filtered ones."),
        click.option(
            "--full", is_flag=True, help="Count all but those of suspended devices."
        ),
        click.option(
            "--display-recent/--no-display-recent",
            default=None,
            help="Count what people were told less than the alert period ago. "
            "[default: on a terminal]",
        ),
        click.option(
            "--update-recent/--no-update-recent",
            help="Note that people were told of what stands, so that the server tells them later.",
        ),
        click.option("--mail-users", is_flag=True, help="Mail the users of these devices now."),
    ]  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return function


@click.command(
    epilog="""\b
Examples:
  penguinctl issue audit
  penguinctl issue audit 'web-*' --full
  penguinctl issue audit label:sales --mail-users --update-recent
  penguinctl issue audit -o json
"""
)
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@_audit_options
@output_option
@pass_app
def audit(
    app: App,
    /,
    *,
    selectors: tuple[str, ...],
    full: bool,
    display_recent: bool | None,
    update_recent: bool,
    mail_users: bool,
    output_format: str,
    **ignored: bool,
) -> None:
    """Run the checks now; show what that opened and closed, and what stands.

    What stands are open issues that people are to be told about: not in their grace, not snoozed,
    not of a suspended device, not told just now. The server tells them by itself; --update-recent
    is for those who pass this answer on.
    """
    seen = sys.stdout.isatty()
    wide = {name: ignored[name] or (full and name != "suspended") for name in _IGNORED}
    request = wire.issue_pb2.AuditDevicesRequest(
        selectors=selectors,
        ignore_grace=wide["grace"],
        ignore_snoozed=wide["snoozed"],
        ignore_suspended=wide["suspended"],
        ignore_filters=wide["filters"],
        ignore_recent=full or (seen if display_recent is None else display_recent),
        update_recent=update_recent,
        mail_users=mail_users,
    )
    with Progress("Judging devices"):
        response: issue_pb2.AuditDevicesResponse = app.call(
            "issue.AuditDevices", request, timeout_seconds=_AUDIT_SECONDS
        )
    output.answer(output_format, _to_json(response), lambda: _show(app, selectors, response))
    if selectors and not response.devices:
        output.end_with_nothing()


def _to_json(response: issue_pb2.AuditDevicesResponse) -> dict[str, Any]:
    return {
        "devices": response.devices,
        "opened": [issue_view.to_json(item) for item in response.opened],
        "closed": [issue_view.to_json(item) for item in response.closed],
        "standing": [issue_view.to_json(item) for item in response.standing],
        "held_back": dict(response.held_back),
        "mails": response.mails,
    }


def _show(app: App, selectors: tuple[str, ...], response: issue_pb2.AuditDevicesResponse) -> None:
    for item in response.opened:
        ui.out(f"Opened {described(item)}")
    for item in response.closed:
        ui.out(f"Closed {described(item)}")
    if response.standing:
        _standing(app, selectors, response)
    counts = f"issues opened: {len(response.opened)}, closed: {len(response.closed)}"
    ui.out(f"Devices judged: {response.devices}; {counts}.")
    held = [
        f"{number} {_WORDS.get(why, printable(why))}"
        for why, number in sorted(response.held_back.items())
    ]
    if held:
        ui.out(f"Held back: {', '.join(held)}.")
    if response.mails:
        ui.out(f"Mails to users: {response.mails}.")


def _standing(
    app: App, selectors: tuple[str, ...], response: issue_pb2.AuditDevicesResponse
) -> None:
    """Print what stands by host, as it has always been read."""
    found = devices.find(app, selectors, devices.ALL_STATES)
    reported = {item.device_id: item.last_report_unix_ms for item in found}

    def host(item: issue_pb2.Issue) -> tuple[str, str]:
        return (item.hostname, item.device_id)

    for (hostname, device_id), items in groupby(sorted(response.standing, key=host), host):
        last = moments.short(reported.get(device_id, 0), app.now)
        known = f" [last reported at {last}]" if device_id in reported else ""
        ui.out(ui.Styled(printable(hostname or device_id), "bold"), known)
        for item in items:
            ui.out("  ", styled(item.severity), f" {_since(app, item)}")


def _since(app: App, item: issue_pb2.Issue) -> str:
    text = f"{printable(item.name)} since {moments.short(item.opened_unix_ms, app.now)}"
    if item.snoozed_until_unix_ms:
        text += f" [snoozed until {moments.short(item.snoozed_until_unix_ms, app.now)}]"
    return text
