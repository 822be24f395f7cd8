"""penguinctl issue: problems that checks, operators or the server found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import issue_view, listing, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.devices import find_some
from penguinctl.issues import (
    chosen,
    described,
    find,
    in_batches,
    names_option,
    reason_option,
    show_changed,
    which_options,
)
from penguinctl.listing import list_options
from penguinctl.nouns.issue_audit import audit
from penguinctl.nouns.issue_quiet import snooze, suspend, unsnooze, unsuspend
from penguinctl.output import output_option
from penguinctl.progress import over
from penguinctl.watching import watch_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.v1 import issue_pb2

SEVERITIES = ("low", "medium", "high", "critical")


@click.group()
def issue() -> None:
    """Issues: problems of devices, found by checks, by operators or by the server."""


for command in (audit, snooze, unsnooze, suspend, unsuspend):
    issue.add_command(command)


@issue.command(
    "list",
    epilog="""\b
Examples:
  penguinctl issue list
  penguinctl issue list label:sales --name 'firewall-*'
  penguinctl issue list web-1 --closed -o json
  penguinctl issue list --columns severity,hostname,name --sort -severity,hostname
""",
)
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option("--closed", is_flag=True, help="Closed ones, too.")
@names_option
@list_options
@pass_app
def list_(
    app: App,
    *,
    selectors: tuple[str, ...],
    closed: bool,
    names: tuple[str, ...],
    output_format: str,
) -> None:
    """List issues, the worst first."""
    found = find(app, selectors, names, closed=closed)
    if not found:
        output.nothing(output_format, "No matching issues.")
    listing.show(
        output_format,
        "issues",
        found,
        issue_view.to_json,
        blank=wire.issue_pb2.Issue(),
        human=lambda items: issue_view.table(app, items),
    )
    if not found and (selectors or names):
        output.end_with_nothing()


@issue.command(epilog="\b\nExample:\n  penguinctl issue show 01HZY3J5Q0G7X8K9M2N4P6R8ST\n")
@click.argument("issue_id")
@watch_option
@output_option
@pass_app
def show(app: App, issue_id: str, output_format: str) -> None:
    """Show one issue with its evidence and what happened to it."""
    request = wire.issue_pb2.GetIssueRequest(issue_id=issue_id)
    item: issue_pb2.Issue = app.call("issue.GetIssue", request).issue
    value = {"issue": issue_view.to_json(item) | issue_view.timeline_json(item)}
    output.answer(output_format, value, lambda: issue_view.facts(app, item))


@issue.command(
    "open",
    epilog="""\b
Examples:
  penguinctl issue open web-1 --name disk-noisy --reason "the fan rattles"
  penguinctl issue open label:sales --name return-laptop --severity low
""",
)
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...")
@click.option("--name", "names", multiple=True, required=True, help="The issue's name; repeatable.")
@click.option("--severity", type=click.Choice(SEVERITIES), help="How bad it is.")
@reason_option
@output_option
@pass_app
def open_(
    app: App,
    /,
    *,
    selectors: tuple[str, ...],
    names: tuple[str, ...],
    output_format: str,
    **wishes: Any,
) -> None:
    """Open issues by hand, under any name; one that is open already stays as it is.

    A name that a check has closes by itself when the check passes.
    """
    devices = find_some(app, selectors)
    wanted = [(item.device_id, name) for item in devices for name in names]
    done = over("Opening issues", wanted, lambda each: _open(app, *each, **wishes))
    listing.show(
        output_format,
        "issues",
        done,
        lambda item: issue_view.to_json(item.issue) | {"opened": item.opened},
        blank=wire.issue_pb2.OpenIssueResponse(),
        human=_opened,
    )


def _open(
    app: App, device_id: str, name: str, *, severity: str | None, reason: str
) -> issue_pb2.OpenIssueResponse:
    request = wire.issue_pb2.OpenIssueRequest(
        device_id=device_id, name=name, reason=reason, severity=severity or ""
    )
    response: issue_pb2.OpenIssueResponse = app.call("issue.OpenIssue", request)
    return response


def _opened(done: Sequence[issue_pb2.OpenIssueResponse]) -> None:
    for item in done:
        verb = "Opened" if item.opened else "Already open:"
        ui.out(f"{verb} {described(item.issue)}")


@issue.command(
    epilog="""\b
Examples:
  penguinctl issue close 01HZY3J5Q0G7X8K9M2N4P6R8ST --reason "repaired"
  penguinctl issue close 'web-*' --name disk-noisy
  penguinctl issue close --all --name return-laptop
"""
)
@which_options
@reason_option
@output_option
@pass_app
def close(
    app: App,
    *,
    terms: tuple[str, ...],
    names: tuple[str, ...],
    everywhere: bool,
    reason: str,
    output_format: str,
) -> None:
    """Close open issues by hand.

    A check's issue does not reopen before its device sends newer data.
    """
    ids = chosen(app, terms, names, everywhere=everywhere)

    def act(some: Sequence[str]) -> Sequence[issue_pb2.Issue]:
        request = wire.issue_pb2.CloseIssuesRequest(issue_ids=some, reason=reason)
        return list(app.call("issue.CloseIssues", request).closed)

    closed = in_batches("Closing issues", ids, act)
    show_changed(output_format, "closed", closed, lambda item: f"Closed {described(item)}")
