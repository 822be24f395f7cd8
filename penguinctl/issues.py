"""Which issues an operator means, and acting on many of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import issue_view, listing, output, ui, wire
from penguinctl.progress import Progress
from penguindome.display import printable
from penguindome.ids import is_ulid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from penguinctl.app import App
    from penguindome.v1 import issue_pb2

# The server takes 1,000, and changing that many takes it a while.
_AT_ONCE = 500

names_option = click.option(
    "--name", "names", multiple=True, help="Only issues of this name; patterns work; repeatable."
)
reason_option = click.option("--reason", default="", help="Why; stands in the issue's timeline.")


def which_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that acts on open issues the ways to name them."""
    named = click.argument("terms", nargs=-1, metavar="[SELECTOR|ISSUE-ID]...")
    everywhere = click.option(
        "--all", "everywhere", is_flag=True, help="On all devices; or all issues."
    )
    return named(names_option(everywhere(function)))


def find(
    app: App, selectors: Sequence[str], names: Sequence[str], *, closed: bool
) -> list[issue_pb2.Issue]:
    """Return issues, the worst first."""
    request = wire.issue_pb2.ListIssuesRequest(
        selectors=selectors, names=names, include_closed=closed
    )
    return list(app.call("issue.ListIssues", request).issues)


def chosen(app: App, terms: Sequence[str], names: Sequence[str], *, everywhere: bool) -> list[str]:
    """Return the ids of the open issues that are meant, each once.

    Raises:
        click.UsageError: Nothing says which, or ids and names are mixed.
    """
    if not (terms or names or everywhere):
        raise click.UsageError("give issue ids, selectors, --name or --all")
    ids = [term.upper() for term in terms if is_ulid(term.upper())]
    selectors = [term for term in terms if not is_ulid(term.upper())]
    if ids and names:
        raise click.UsageError("an issue's id needs no --name")
    if selectors or not ids:
        ids += [item.issue_id for item in find(app, selectors, names, closed=False)]
    return list(dict.fromkeys(ids))


def in_batches(
    label: str, ids: Sequence[str], act: Callable[[Sequence[str]], Sequence[issue_pb2.Issue]]
) -> list[issue_pb2.Issue]:
    """Act on as many issues at a time as the server takes; return those that it changed."""
    changed: list[issue_pb2.Issue] = []
    with Progress(label, len(ids)) as work:
        for start in range(0, len(ids), _AT_ONCE):
            some = ids[start : start + _AT_ONCE]
            changed += act(some)
            work.step(len(some))
    return changed


def described(item: issue_pb2.Issue) -> str:
    """Return an issue in one line."""
    return f"{printable(item.name)} of {printable(item.hostname)} ({printable(item.issue_id)})"


def show_changed(
    output_format: str,
    name: str,
    done: Sequence[issue_pb2.Issue],
    line: Callable[[issue_pb2.Issue], str],
) -> None:
    """Show issues that a command changed, a line for each; end with 3 if there is none."""

    def human(items: Sequence[issue_pb2.Issue]) -> None:
        for item in items:
            ui.out(line(item))

    if not done:
        output.nothing(output_format, "No matching issues.")
    listing.show(
        output_format,
        name,
        done,
        issue_view.to_json,
        blank=wire.issue_pb2.Issue(),
        human=human,
    )
    if not done:
        output.end_with_nothing()
