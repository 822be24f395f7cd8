"""penguinctl operator role, revoke and ranges: what operators may do, and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penguinctl import listing, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import columns_option, sort_option
from penguinctl.options import yes_option
from penguinctl.output import Column, output_option
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.v1 import operator_pb2

ROLES = ("viewer", "operator", "shell", "admin", "keeper", "auditor")
_EVERYWHERE = "from everywhere"


@click.command(
    epilog="""\b
Examples:
  penguinctl operator role bob --add auditor
  penguinctl operator role bob --remove admin --add operator
"""
)
@click.argument("name")
@click.option("--add", multiple=True, type=click.Choice(ROLES), help="Give it; may be repeated.")
@click.option("--remove", multiple=True, type=click.Choice(ROLES), help="Take it; may be repeated.")
@yes_option
@output_option
@pass_app
def role(
    app: App,
    /,
    *,
    name: str,
    add: tuple[str, ...],
    remove: tuple[str, ...],
    yes: bool,
    output_format: str,
) -> None:
    """Give roles to NAME, and take others; that holds from the next call on.

    The last admin keeps that role.
    """
    if not add and not remove:
        raise click.UsageError("give --add or --remove")
    if remove and not yes and name == app.profile.operator:
        _confirm(name, f"take {', '.join(remove)} from yourself")
    request = wire.operator_pb2.SetOperatorRolesRequest(name=name, add=add, remove=remove)
    roles = list(app.call("operator.SetOperatorRoles", request).roles)
    value = {"name": name, "roles": roles}
    output.answer(output_format, value, lambda: ui.out(f"{name}: {output.words(roles)}"))


@click.command(
    epilog="""\b
Examples:
  penguinctl operator revoke bob --reason "left the company"
"""
)
@click.argument("name")
@click.option("--reason", default="", help="Why; kept in the ledger.")
@yes_option
@output_option
@pass_app
def revoke(app: App, /, *, name: str, reason: str, yes: bool, output_format: str) -> None:
    """End NAME's access to the server, live calls at once, and withdraw open invitations.

    The last admin cannot be revoked. What NAME's OpenPGP key may sign stands in the trust document:
    see `penguinctl trust remove`.
    """
    if not yes and name == app.profile.operator:
        _confirm(name, "end your own access")
    elif not yes and ui.interactive():
        _confirm(name, f"end the access of {name}")
    request = wire.operator_pb2.RevokeOperatorRequest(name=name, reason=reason)
    app.call("operator.RevokeOperator", request)
    value = {"name": name, "state": "revoked"}
    output.answer(output_format, value, lambda: ui.out(f"Revoked {name}."))


def _confirm(name: str, act: str) -> None:
    if ui.ask(f"To {act}, type {name}:") != name:
        raise PreconditionFailed(
            f"what was typed is not {name}",
            subject=name,
            code="not-confirmed",
            remedy="Nothing was done; --yes does it without asking",
        )


@click.command(
    epilog="""\b
Examples:
  penguinctl operator ranges
  penguinctl operator ranges admin 10.20.0.0/16 2001:db8:20::/48
  penguinctl operator ranges admin --clear
"""
)
@click.argument("role", required=False, type=click.Choice(ROLES))
@click.argument("networks", nargs=-1, metavar="[NETWORK]...")
@click.option("--clear", is_flag=True, help="Lift the role's limit.")
@click.option(
    "--lock-out-self", is_flag=True, help="Do it although you call from outside these networks."
)
@output_option
@columns_option
@sort_option
@pass_app
def ranges(
    app: App,
    /,
    *,
    role: str | None,
    networks: tuple[str, ...],
    clear: bool,
    lock_out_self: bool,
    output_format: str,
) -> None:
    """Show the networks that roles may be used from, or limit ROLE to some.

    A call from elsewhere goes without the role. Whoever is locked out nonetheless runs `penguind
    operator ranges ROLE --clear` on the server.
    """
    if clear and networks:
        raise click.UsageError("give networks or --clear, not both")
    if role is None or not (networks or clear):
        found = _listed(app, role)
    else:
        request = wire.operator_pb2.SetRoleRangesRequest(
            role=role, ranges=networks, lock_out_self=lock_out_self
        )
        found = [app.call("operator.SetRoleRanges", request).ranges]
    listing.show(
        output_format,
        "ranges",
        found,
        lambda one: {"role": one.role, "networks": list(one.ranges)},
        blank=wire.operator_pb2.RoleRanges(),
        human=_table,
    )


def _listed(app: App, role: str | None) -> list[operator_pb2.RoleRanges]:
    request = wire.operator_pb2.ListOperatorsRequest()
    limited = {one.role: one for one in app.call("operator.ListOperators", request).ranges}
    names = ROLES if role is None else (role,)
    return [limited.get(name) or wire.operator_pb2.RoleRanges(role=name) for name in names]


def _table(found: Sequence[operator_pb2.RoleRanges]) -> None:
    columns = (Column("ROLE"), Column("MAY BE USED FROM", shrinks=True))
    rows = [(one.role, output.words(one.ranges) if one.ranges else _EVERYWHERE) for one in found]
    output.table(columns, rows)
