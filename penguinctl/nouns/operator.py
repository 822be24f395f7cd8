"""penguinctl operator: who may ask what of the server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penguinctl import listing, moments, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.nouns import operator_change
from penguinctl.nouns.operator_change import ROLES
from penguinctl.output import Column, output_option
from penguindome.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.v1 import operator_pb2

_TITLES = ("NAME", "STATE", "ROLES", "JOINED", "ENDS", "INVITED BY")


@click.group()
def operator() -> None:
    """Operators: invite, change and revoke them.

    What an operator's OpenPGP key may sign is another matter: see `penguinctl trust`.
    """


@operator.command(
    epilog="""\b
Examples:
  penguinctl operator invite bob --role viewer --invitation-file bob.txt
  penguinctl operator invite carol --role operator --role shell --ttl 4h
"""
)
@click.argument("name")
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    type=click.Choice(ROLES),
    help="A role of the new operator; may be repeated.",
)
@click.option("--ttl", default="7d", show_default=True, help="How long it is valid: 90m, 4h, 3d.")
@click.option(
    "--invitation-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the line there, readable by you only, instead of printing it.",
)
@output_option
@pass_app
def invite(
    app: App,
    /,
    *,
    name: str,
    roles: tuple[str, ...],
    ttl: str,
    invitation_file: Path | None,
    output_format: str,
) -> None:
    """Invite NAME to become an operator, and print the invitation's line, alone.

    The line is a secret: whoever holds it becomes NAME, once. Inviting an operator again replaces
    the operator's key.
    """
    from penguinctl import invitation_line, token_line  # noqa: PLC0415 -- --help stays quick

    if invitation_file:
        token_line.check_writable(invitation_file)
    trust_hash = token_line.pinned_trust_hash(app)
    request = wire.operator_pb2.InviteOperatorRequest(
        name=name, roles=roles, ttl_seconds=int(parse_duration(ttl).total_seconds())
    )
    response: operator_pb2.InviteOperatorResponse = app.call("operator.InviteOperator", request)
    line = invitation_line.assemble(app, name, response, trust_hash)
    facts = {
        "invitation": None if invitation_file else line,
        "invitation_id": response.invitation_id.hex(),
        "name": name,
        "roles": sorted(set(roles)),
        "expires_time": moments.iso(response.expires_unix_ms),
        "invitation_file": str(invitation_file) if invitation_file else None,
    }
    if invitation_file:
        token_line.write(invitation_file, line)
    output.answer(output_format, facts, lambda: None if invitation_file else ui.out(line))
    end = moments.local(response.expires_unix_ms, app.now)
    ui.note(f"The invitation of {name} is valid until {end}; use it with: penguinctl init.")


@operator.command(
    "list", epilog="\b\nExamples:\n  penguinctl operator list\n  penguinctl operator list -o json\n"
)
@list_options
@pass_app
def list_(app: App, *, output_format: str) -> None:
    """List operators and those who are invited, by name."""
    request = wire.operator_pb2.ListOperatorsRequest()
    found: operator_pb2.ListOperatorsResponse = app.call("operator.ListOperators", request)
    rows = [*map(_operator, found.operators), *map(_invitation, found.invitations)]
    listing.show(
        output_format,
        "operators",
        rows,
        _json,
        blank=_operator(wire.operator_pb2.Operator()),
        human=lambda items: _table(app, items),
    )


def _operator(one: operator_pb2.Operator) -> dict[str, Any]:
    return {
        "name": one.name,
        "state": one.state,
        "roles": list(one.roles),
        "joined": one.joined_unix_ms,
        "ends": one.certificate_expires_unix_ms,
        "invited_by": "",
    }


def _invitation(one: operator_pb2.OpenInvitation) -> dict[str, Any]:
    return {
        "name": one.name,
        "state": "invited",
        "roles": list(one.roles),
        "joined": 0,
        "ends": one.expires_unix_ms,
        "invited_by": one.created_by,
    }


def _json(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": row["name"],
        "state": row["state"],
        "roles": row["roles"],
        "joined_time": moments.iso(row["joined"]),
        "ends_time": moments.iso(row["ends"]),
        "invited_by": row["invited_by"],
    }


def _table(app: App, rows: Sequence[dict[str, Any]]) -> None:
    output.table(
        [Column(title, shrinks=title == "ROLES") for title in _TITLES],
        [
            (
                row["name"],
                row["state"],
                output.words(row["roles"]),
                moments.ago(row["joined"], app.now),
                moments.ago(row["ends"], app.now),
                row["invited_by"] or "-",
            )
            for row in rows
        ],
    )


operator.add_command(operator_change.role)
operator.add_command(operator_change.revoke)
operator.add_command(operator_change.ranges)
