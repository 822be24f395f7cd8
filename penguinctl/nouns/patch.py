"""penguinctl patch: files for single devices, until their next release."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penguinctl import listing, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.options import passphrase_option, reason_option, yes_option
from penguinctl.output import output_option
from penguindome.display import printable
from penguindome.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.orders.bodies import PatchFile

_ttl_option = click.option(
    "--ttl", default="7d", show_default=True, help="How long devices that are away may get it: 3d."
)


@click.group()
def patch() -> None:
    """Patches: files put into or removed from the tree of single devices.

    A device keeps them until its next release. Two patches of the same file cannot wait on the same
    device.
    """


@patch.command(
    epilog="""\b
Examples:
  penguinctl patch put plugins/printers ./printers web-1
  penguinctl patch put data/hosts.txt ./hosts.txt label:sales 'web-*' --mode 0644
"""
)
@click.argument("target")
@click.argument("source", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...")
@click.option(
    "--mode",
    type=click.Choice(["0644", "0755"]),
    help="The file's mode. [default: 0755 if SOURCE is executable]",
)
@_ttl_option
@reason_option
@yes_option
@passphrase_option
@output_option
@pass_app
def put(
    app: App,
    /,
    *,
    target: str,
    source: Path,
    selectors: tuple[str, ...],
    mode: str | None,
    **facts: Any,
) -> None:
    """Put the file SOURCE at TARGET in the tree of devices, e.g. plugins/NAME.

    What stands in plugins/ runs and reports; what stands in commands/ runs once.
    """
    from penguinctl import contents, release_tree  # noqa: PLC0415 -- --help stays quick
    from penguindome.orders.bodies import INLINE_LIMIT_BYTES, PatchFile  # noqa: PLC0415 -- as above

    wanted = None if mode is None else int(mode, 8)
    entry, data = release_tree.read_entry(target, source.resolve(), wanted)
    inline = entry.size <= INLINE_LIMIT_BYTES
    if not inline:
        contents.upload_missing(app, {entry.sha256: data})
    _send(app, selectors, [PatchFile(target, entry, data if inline else None)], **facts)


@patch.command(
    epilog="""\b
Examples:
  penguinctl patch rm plugins/printers web-1
  penguinctl patch rm plugins/dmidecode label:virtual --reason "nothing to see there"
"""
)
@click.argument("target")
@click.argument("selectors", nargs=-1, required=True, metavar="SELECTOR...")
@_ttl_option
@reason_option
@yes_option
@passphrase_option
@output_option
@pass_app
def rm(app: App, /, *, target: str, selectors: tuple[str, ...], **facts: Any) -> None:
    """Remove TARGET from the tree of devices; what a plugin reported goes with it."""
    from penguindome.orders.bodies import PatchFile  # noqa: PLC0415 -- --help stays quick
    from penguindome.orders.manifest import check_path  # noqa: PLC0415 -- as above

    _send(app, selectors, [PatchFile(check_path(target), None)], **facts)


@patch.command(
    "list",
    epilog="""\b
Examples:
  penguinctl patch list
  penguinctl patch list web-1 --all
""",
)
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@click.option("--all", "everything", is_flag=True, help="List those that ended, too.")
@list_options
@pass_app
def list_(app: App, *, selectors: tuple[str, ...], everything: bool, output_format: str) -> None:
    """List patches that devices have yet to take, the newest first."""
    from penguinctl import patches  # noqa: PLC0415 -- --help stays quick
    from penguinctl.devices import find_some  # noqa: PLC0415 -- as above

    picked = {one.device_id for one in find_some(app, selectors)} if selectors else None
    found = patches.find(app, device_ids=picked, everything=everything)
    if not found:
        ui.note("No patches." if everything else "No patches are pending.")
    listing.show(
        output_format,
        "patches",
        found,
        patches.to_json,
        blank=patches.Patch(wire.order_pb2.Order(), None, (), ()),
        human=lambda items: patches.table(app, items),
    )
    if not found and selectors:
        output.end_with_nothing()


@patch.command(
    epilog="""\b
Examples:
  penguinctl patch cancel plugins/printers
  penguinctl patch cancel 01JD3ZK2V7Q8N5M4R6T8W9X0YZ web-1
"""
)
@click.argument("term", metavar="PATH|ID")
@click.argument("selectors", nargs=-1, metavar="[SELECTOR]...")
@reason_option
@yes_option
@passphrase_option
@output_option
@pass_app
def cancel(
    app: App,
    /,
    *,
    term: str,
    selectors: tuple[str, ...],
    reason: str,
    yes: bool,
    passphrase_file: Path | None,
    output_format: str,
) -> None:
    """Call patches off where devices have not taken them: on some devices, or on all.

    A device that has taken a patch keeps it until its next release.
    """
    from penguinctl import ordering, patches  # noqa: PLC0415 -- --help stays quick

    found, pending = patches.meant(app, term, selectors)
    draft = patches.cancellation(app, found, pending, reason=reason)
    made = ordering.signed(app, draft, passphrase_file=passphrase_file, yes=yes)
    order = ordering.submit(app, made.envelope)
    named = draft.devices or ()
    value = {
        "order_id": order.order_id,
        "cancels_order_ids": list(order.cancels_order_ids),
        "devices": [{"device_id": one, "hostname": pending[one]} for one in named],
    }
    called_off = printable(", ".join(order.cancels_order_ids))
    text = f"Called off {called_off} on {_counted(len(named))}."
    output.answer(output_format, value, lambda: ui.out(text))


def _send(
    app: App,
    selectors: Sequence[str],
    files: Sequence[PatchFile],
    *,
    ttl: str,
    reason: str,
    yes: bool,
    passphrase_file: Path | None,
    output_format: str,
) -> None:
    """Sign a patch and hand it in."""
    from penguinctl import order_view, ordering  # noqa: PLC0415 -- --help stays quick
    from penguindome.orders.bodies import PatchBody  # noqa: PLC0415 -- as above

    picked = ordering.pick(app, selectors, "patch")
    body = PatchBody(picked.hostnames, tuple(files))
    draft = ordering.Draft("patch", body.to_json(), picked.device_ids, parse_duration(ttl), reason)
    made = ordering.signed(app, draft, passphrase_file=passphrase_file, yes=yes)
    order = ordering.submit(app, made.envelope)
    ordering.tell_missing(order, made)
    text = f"Patch {printable(order.order_id)} is on its way to {_counted(len(picked.devices))}."
    output.answer(output_format, order_view.order_json(order), lambda: ui.out(text))


def _counted(number: int) -> str:
    return "1 device" if number == 1 else f"{number:,} devices"
