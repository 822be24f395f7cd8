"""penguinctl release build, sign, publish and rollback: from a folder to the fleet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penguinctl import output, ui
from penguinctl.app import App, pass_app
from penguinctl.options import passphrase_option, reason_option, yes_option
from penguinctl.output import output_option
from penguinctl.rollout_options import plan, rollout_options
from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguinctl.ordering import Signed
    from penguinctl.releases import Wishes
    from penguindome.v1 import order_pb2, release_pb2


def _build_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command what a release has beside its folder."""
    options = (
        click.option("--shipped", is_flag=True, help="Begin with the plugins of this package."),
        click.option("--label", default="", help="A word for people, e.g. a version."),
        click.option("--collect-interval", default="", help="How often plugins run: 10m."),
        click.option("--submit-interval", default="", help="How often changes are handed in: 1h."),
        click.option(
            "--interval",
            "intervals",
            multiple=True,
            metavar="PLUGIN=DURATION",
            help="How often one plugin runs. May be repeated.",
        ),
        click.option(
            "--disable",
            multiple=True,
            metavar="PLUGIN",
            help="A plugin of the folder that does not run. May be repeated.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.command(
    epilog="""\b
Examples:
  penguinctl release build tree -o spring.release
  penguinctl release build tree --shipped --label 2030.1 --disable dmidecode
  penguinctl release build --shipped -o shipped.release
"""
)
@click.argument(
    "folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=False,
    metavar="[DIR]",
)
@click.option(
    "-o",
    "--output-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the release is written. [default: DIR.release]",
)
@_build_options
@pass_app
def build(app: App, /, *, folder: Path | None, output_file: Path | None, **wishes: Any) -> None:
    """Make a release of a folder, in one file; nothing is sent.

    The file holds regular files of the folder, but for .#*, *~, *.pyc, __pycache__ and .git. The
    same folder gives the same file, so that several people can compare the hash.
    """
    from penguinctl import release_file, releases  # noqa: PLC0415 -- --help stays quick

    del app
    wished = releases.Wishes(**wishes)
    if folder is None and not wished.shipped:
        raise click.UsageError("give a folder, or --shipped")
    made = releases.build(folder, wished)
    where = output_file or Path(f"{folder.resolve().name if folder else 'shipped'}.release")
    release_file.write(where, made)
    ui.out(made.manifest_hash)
    files = len(made.body.files)
    ui.note(f"{files:,} files, {made.size_bytes:,} bytes, in {where}.")


@click.command(
    epilog="""\b
Examples:
  penguinctl release sign spring.release --reason "new firewall rules"
  penguinctl release sign spring.release --yes -o json
"""
)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--number", type=click.IntRange(1), help="Its number. [default: the one after the newest]"
)
@click.option(
    "--ttl", default="120d", show_default=True, help="After which no device takes it any more."
)
@reason_option
@yes_option
@passphrase_option
@output_option
@pass_app
def sign(
    app: App,
    /,
    *,
    file: Path,
    yes: bool,
    passphrase_file: Path | None,
    output_format: str,
    **facts: Any,
) -> None:
    """Sign a release in its file; of one that is signed already, add a signature.

    So several operators can sign one after another before it is published.
    """
    from penguinctl import release_file, releases  # noqa: PLC0415 -- --help stays quick

    found = release_file.read(file)
    asked: dict[str, Any] = {"passphrase_file": passphrase_file, "yes": yes}
    made: Signed
    if found.envelope is None:
        made = releases.signed(app, found.body, **facts, **asked)
    else:
        made = releases.countersigned(app, found.envelope, **asked)
    release_file.write(file, found.signed(made.envelope))
    number, missing = made.opened.payload.seq, made.opened.missing
    by = sorted(made.trust.operators[one] for one in made.opened.signers)
    value = {"number": number, "signed_by": by, "missing_signatures": missing}
    more = f"; {missing} more needed" if missing else ""
    text = f"Release {number} has {len(by)} signatures{more}."
    output.answer(output_format, value, lambda: ui.out(text))


@click.command(
    epilog="""\b
Examples:
  penguinctl release publish tree --shipped --ring canary=label:canary --ring 10% --follow
  penguinctl release publish spring.release --automatic --ring 5% --ring 50% --soak 2d
  penguinctl release publish spring.release --yes
"""
)
@click.argument("source", type=click.Path(path_type=Path, exists=True), metavar="DIR|FILE")
@_build_options
@rollout_options
@yes_option
@passphrase_option
@output_option
@pass_app
def publish(app: App, /, *, source: Path, output_format: str, **options: Any) -> None:
    """Publish a release: of a folder in one go, or of a file that was built and perhaps signed.

    Contents that the server lacks are uploaded. Devices of the first ring get it at once, later
    rings by `penguinctl release advance` or by themselves with --automatic. Where too many devices
    of a ring go back to their former tree, it halts by itself.
    """
    from penguinctl import releases  # noqa: PLC0415 -- --help stays quick

    wishes: Wishes = releases.Wishes(**{name: options.pop(name) for name in _WISHES})
    found = releases.load(source, wishes)
    wanted = _plan(options)
    releases.tell_plan(wanted)
    asked: dict[str, Any] = {name: options.pop(name) for name in ("passphrase_file", "yes")}
    if found.envelope is None:
        facts = {"ttl": options["ttl"], "reason": options["reason"], "number": None}
        made = releases.signed(app, found.body, **facts, **asked)
    else:
        made = releases.countersigned(app, found.envelope, **asked)
    published = releases.publish(app, made, found.contents, wanted)
    _tell(app, published, output_format, follow=options["follow"])


@click.command(
    epilog="""\b
Examples:
  penguinctl release rollback 11 --reason "release 12 slows mail down"
  penguinctl release rollback 11 --ring 10% --automatic --soak 1h
"""
)
@click.argument("number", type=click.IntRange(1), metavar="NUMBER")
@rollout_options
@yes_option
@passphrase_option
@output_option
@pass_app
def rollback(app: App, /, *, number: int, output_format: str, **options: Any) -> None:
    """Publish what release NUMBER had again, under a new number.

    Devices never take a lower number than they had: going back is going on with former contents.
    """
    from penguinctl import releases  # noqa: PLC0415 -- --help stays quick

    body = releases.verified_body(app, number)
    wanted = _plan(options)
    releases.tell_plan(wanted)
    made = releases.signed(
        app,
        body,
        number=None,
        ttl=options["ttl"],
        reason=options["reason"] or f"back to release {number}",
        passphrase_file=options["passphrase_file"],
        yes=options["yes"],
    )
    published = releases.publish(app, made, {}, wanted)
    _tell(app, published, output_format, follow=options["follow"])


_WISHES = ("shipped", "label", "collect_interval", "submit_interval", "intervals", "disable")


def _plan(options: dict[str, Any]) -> order_pb2.RolloutPlan:
    names = ("rings", "automatic", "soak", "healthy")
    return plan(**{name: options[name] for name in names})


def _tell(app: App, published: release_pb2.Release, output_format: str, *, follow: bool) -> None:
    """Say how a release stands, once it was followed if that was asked for."""
    from penguinctl import release_follow, release_view  # noqa: PLC0415 -- --help stays quick

    if follow:
        published = release_follow.follow(app, published.number)

    def human() -> None:
        ui.out(f"Release {published.number} is {printable(published.state)}.")
        release_view.rings(published)

    output.answer(output_format, release_view.to_json(published), human)
    if follow:
        release_follow.end(published)
