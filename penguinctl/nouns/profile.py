"""penguinctl profile: one for each fleet that the operator looks after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from penguinctl import listing, names, output, ui
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.options import yes_option
from penguinctl.output import Column, output_option
from penguindome.errors import PenguinDomeError, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.profile import Profile


@dataclass(frozen=True, slots=True)
class _Entry:
    """A profile in a list; what cannot be read is None."""

    name: str
    current: bool
    profile: Profile | None = None
    problem: str = ""


@click.group()
def profile() -> None:
    """Profiles: one for each fleet, or each name in a fleet, that you look after.

    `penguinctl --profile NAME init` makes one.
    """


@profile.command(
    "list", epilog="\b\nExamples:\n  penguinctl profile list\n  penguinctl profile list -o json\n"
)
@list_options
@pass_app
def list_(app: App, *, output_format: str) -> None:
    """Show the profiles on this machine."""
    current = app.profiles.current()
    entries = [_entry(app, name, current) for name in app.profiles.names()]
    if not entries:
        output.nothing(output_format, "No profiles.")
    listing.show(
        output_format, "profiles", entries, _json, blank=_Entry("", current=False), human=_table
    )


def _entry(app: App, name: str, current: str) -> _Entry:
    try:
        return _Entry(name, name == current, app.profiles.folder(name).load())
    except PenguinDomeError as error:
        return _Entry(name, name == current, problem=error.reason)


def _table(entries: Sequence[_Entry]) -> None:
    if not entries:
        return
    columns = (Column("PROFILE"), Column("IN USE"), Column("OPERATOR"), Column("FLEET"))
    rows = [
        (
            one.name,
            ui.Styled("yes", "green") if one.current else "no",
            one.profile.operator if one.profile else "-",
            one.profile.fleet if one.profile else "-",
            _server(one.profile) if one.profile else one.problem,
        )
        for one in entries
    ]
    output.table((*columns, Column("SERVER", shrinks=True)), rows)


def _server(found: Profile) -> str:
    return f"{found.host}:{found.main_port}"


def _json(one: _Entry) -> dict[str, Any]:
    found = one.profile
    return {
        "name": one.name,
        "current": one.current,
        "operator": found.operator if found else None,
        "fleet_id": found.fleet if found else None,
        "server": _server(found) if found else None,
        "problem": one.problem,
    }


@profile.command(epilog="\b\nExample:\n  penguinctl profile show work\n")
@click.argument("profile_name", metavar="[NAME]", default="")
@output_option
@pass_app
def show(app: App, profile_name: str, output_format: str) -> None:
    """Show one profile; without a name the one in use."""
    from penguinctl import moments  # noqa: PLC0415 -- --help stays quick

    folder = app.profiles.known(profile_name) if profile_name else app.folder
    found = folder.load()
    value = {
        "name": profile_name or app.profile_name,
        "folder": str(folder.path),
        "operator": found.operator,
        "fleet_id": found.fleet,
        "server": _server(found),
        "certificate_expires_time": moments.iso(found.certificate_expires_unix_ms),
        "signing_key": found.signing_key or None,
        "gpg_home": found.gpg_home or None,
    }
    rows: list[tuple[str, str | ui.Styled]] = [
        ("Profile", str(value["name"])),
        ("Folder", str(folder.path)),
        ("Operator", found.operator),
        ("Fleet", found.fleet),
        ("Server", _server(found)),
        ("Certificate ends", moments.local(found.certificate_expires_unix_ms, app.now)),
        ("Signing key", found.signing_key or "none"),
        ("GnuPG home", found.gpg_home or "your own"),
    ]
    output.answer(output_format, value, lambda: output.pairs(rows))


@profile.command(
    epilog="\b\nExamples:\n  penguinctl profile use work\n  penguinctl profile use default\n"
)
@click.argument("profile_name", metavar="NAME")
@output_option
@pass_app
def use(app: App, profile_name: str, output_format: str) -> None:
    """Let commands use a profile where --profile and PENGUINCTL_PROFILE name none."""
    app.profiles.use(profile_name)
    text = f"From now on the profile {profile_name} is used."
    output.answer(output_format, {"name": profile_name}, lambda: ui.out(text))


@profile.command(epilog="\b\nExample:\n  penguinctl profile remove work\n")
@click.argument("profile_name", metavar="NAME")
@yes_option
@output_option
@pass_app
def remove(app: App, *, profile_name: str, yes: bool, output_format: str) -> None:
    """Remove a profile from this machine.

    A signing key that penguinctl made is kept, as a fleet may need it; you are told where. The
    server goes on knowing the operator until somebody revokes it there.
    """
    found = app.profiles.known(profile_name)
    if not yes and ui.ask("To remove a profile, type its name:") != profile_name:
        raise PreconditionFailed(
            "what was typed is not the profile's name",
            subject=profile_name,
            code="not-confirmed",
            remedy="Nothing was done",
        )
    names.forget(found.path)
    kept = app.profiles.remove(profile_name, app.now)
    value = {"name": profile_name, "signing_key_home": str(kept) if kept else None}
    output.answer(output_format, value, lambda: ui.out(f"Removed the profile {profile_name}."))
    if kept:
        ui.note(f"Its signing key is kept in {kept}; delete that if no fleet needs it any more.")
