"""penguinctl release: what runs on every device, and how it gets there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import listing, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.nouns import release_make
from penguinctl.options import yes_option
from penguinctl.output import output_option
from penguinctl.watching import watch_option
from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguindome.v1 import release_pb2


@click.group()
def release() -> None:
    """Releases: the plugins, commands and files of every device.

    A release is a folder: what is in plugins/ runs and reports, what is in commands/ runs once on
    each device, anything else is data. An operator signs it, and devices verify that. It has a
    number that grows, and reaches the fleet at once or ring after ring.
    """


@release.command(
    "list",
    epilog="\b\nExamples:\n  penguinctl release list\n  penguinctl release list --limit 5\n",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=100,
    show_default=True,
    help="At most so many.",
)
@list_options
@pass_app
def list_(app: App, *, limit: int, output_format: str) -> None:
    """List releases, the newest first."""
    from penguinctl import release_view  # noqa: PLC0415 -- --help stays quick

    request = wire.release_pb2.ListReleasesRequest(limit=limit)
    found: list[release_pb2.Release] = list(app.call("release.ListReleases", request).releases)
    if not found:
        ui.note("No releases: devices run what their package brought.")
    listing.show(
        output_format,
        "releases",
        found,
        release_view.to_json,
        blank=wire.release_pb2.Release(),
        human=lambda items: release_view.table(app, items),
    )


@release.command(
    epilog="""\b
Examples:
  penguinctl release show
  penguinctl release show 12 --watch
  penguinctl release show 12 -o json
"""
)
@click.argument("number", type=click.IntRange(0), default=0, metavar="[NUMBER]")
@watch_option
@output_option
@pass_app
def show(app: App, *, number: int, output_format: str) -> None:
    """Show a release ring by ring, and devices in trouble; by default the newest one.

    In the bars # are devices that run it and are well, ! those that went back to their former
    tree, ~ those that are at it, and . those that it has not reached.
    """
    from penguinctl import order_view, release_view, releases  # noqa: PLC0415 -- as above

    found = releases.get(app, number)
    manifest_hash = releases.manifest_hash(found.envelope)
    value = {
        **release_view.to_json(found.release),
        "manifest_hash": manifest_hash,
        "targets": [order_view.target_json(one) for one in found.targets],
    }
    output.answer(output_format, value, lambda: release_view.show(app, found, manifest_hash))


@release.command(
    epilog="""\b
Examples:
  penguinctl release diff 11 12
  penguinctl release diff 12 --content
  penguinctl release diff 12 new.release
"""
)
@click.argument("first", metavar="A")
@click.argument("second", default="", metavar="[B]")
@click.option("--content", is_flag=True, help="Show what changed in files of text, too.")
@output_option
@pass_app
def diff(app: App, *, first: str, second: str, content: bool, output_format: str) -> None:
    """Show what B changes in A: numbers of releases, files or folders; B is the newest by default.

    What the server hands out is verified first.
    """
    from penguinctl import release_diff  # noqa: PLC0415 -- --help stays quick

    old, new = release_diff.side(app, first), release_diff.side(app, second)
    found = release_diff.changes(old.body, new.body)
    value = {"changes": [one.to_json() for one in found]}

    def human() -> None:
        release_diff.table(found)
        if content:
            release_diff.texts(app, found, old, new)

    output.answer(output_format, value, human)


def _steer(name: str, help_text: str, epilog: str, question: str = "") -> click.Command:
    """Return the command of one action on a rollout."""
    number = click.argument("number", type=click.IntRange(1), metavar="NUMBER")
    reason = click.option("--reason", default="", help="Why; shown, and kept in the ledger.")

    def act(app: App, *, number: int, reason: str, output_format: str, yes: bool = False) -> None:
        from penguinctl import ordering, release_view  # noqa: PLC0415 -- --help stays quick

        if question and ordering.asks(yes=yes):
            ordering.confirm(question.format(number))
        request = wire.release_pb2.ChangeRolloutRequest(number=number, action=name, reason=reason)
        found = app.call("release.ChangeRollout", request).release

        def human() -> None:
            ui.out(f"Release {found.number} is {printable(found.state)}.")
            release_view.rings(found)

        output.answer(output_format, release_view.to_json(found), human)

    made: Callable[..., Any] = output_option(pass_app(act))
    made = yes_option(made) if question else made
    return click.command(name, help=help_text, epilog=epilog)(number(reason(made)))


release.add_command(release_make.build)
release.add_command(release_make.sign)
release.add_command(release_make.publish)
release.add_command(release_make.rollback)
release.add_command(
    _steer(
        "advance",
        "Open the next ring of a release.",
        "\b\nExample:\n  penguinctl release advance 12\n",
    )
)
release.add_command(
    _steer(
        "halt",
        "Give a release to no further device until it is resumed; who has it keeps it.",
        '\b\nExample:\n  penguinctl release halt 12 --reason "the printers fail"\n',
    )
)
release.add_command(
    _steer(
        "resume",
        "Go on with a release that was halted; devices that failed so far count no more.",
        "\b\nExample:\n  penguinctl release resume 12\n",
    )
)
release.add_command(
    _steer(
        "withdraw",
        "Give a release to nobody any more; who has it keeps it until the next one.\n\n"
        "Use `penguinctl release rollback` to bring devices back to a former one.",
        '\b\nExample:\n  penguinctl release withdraw 12 --reason "the wrong folder"\n',
        "Give release {} to nobody any more?",
    )
)
