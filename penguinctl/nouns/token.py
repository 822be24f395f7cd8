"""penguinctl token: enrollment tokens for new devices."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penguinctl import listing, moments, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.output import Column, output_option
from penguindome.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.v1 import token_pb2


@click.group()
def token() -> None:
    """Enrollment tokens for new devices.

    A token is one line of text. It carries the server's anchor and the hash of the trust document,
    so that a device knows whom it talks to from the first byte on.
    """


@token.command(
    epilog="""\b
Examples:
  penguinctl token create --ttl 2d > token.txt
  penguinctl token create --uses 50 --label sales --approve --output-file sales.token
"""
)
@click.option(
    "--uses",
    type=click.IntRange(1, 10_000),
    default=1,
    show_default=True,
    help="How many devices may use it.",
)
@click.option("--ttl", default="2d", show_default=True, help="How long it is valid: 90m, 4h, 3d.")
@click.option(
    "--cidr",
    multiple=True,
    metavar="NETWORK",
    help="Only devices from this network, e.g. 10.0.0.0/8. May be repeated.",
)
@click.option("--approve", is_flag=True, help="An operator has to approve each device.")
@click.option("--label", multiple=True, help="A label that the devices get. May be repeated.")
@click.option("--note", default="", help="What it is for; shown in lists.")
@click.option(
    "--output-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the token there, readable by you only, instead of printing it.",
)
@output_option
@pass_app
def create(app: App, /, *, output_file: Path | None, output_format: str, **wishes: Any) -> None:
    """Make a token and print its line, alone, on standard output."""
    from penguinctl import token_line  # noqa: PLC0415 -- --help stays quick

    if output_file:
        token_line.check_writable(output_file)
    trust_hash = token_line.pinned_trust_hash(app)
    response: token_pb2.CreateTokenResponse = app.call("token.CreateToken", _wish(**wishes))
    line = token_line.assemble(app, response, trust_hash)
    facts = {
        "token": None if output_file else line,
        "token_id": response.token_id.hex(),
        "expires_time": moments.iso(response.expires_unix_ms),
        "output_file": str(output_file) if output_file else None,
    }
    if output_file:
        token_line.write(output_file, line)
    output.answer(output_format, facts, lambda: None if output_file else ui.out(line))
    end = moments.local(response.expires_unix_ms, app.now)
    where = f", in {output_file}" if output_file else ""
    ui.note(f"Token {response.token_id.hex()} is valid until {end}{where}.")


def _wish(
    *, uses: int, ttl: str, cidr: tuple[str, ...], approve: bool, label: tuple[str, ...], note: str
) -> token_pb2.CreateTokenRequest:
    return wire.token_pb2.CreateTokenRequest(
        max_uses=uses,
        ttl_seconds=int(parse_duration(ttl).total_seconds()),
        cidrs=cidr,
        needs_approval=approve,
        labels=label,
        note=note,
    )


@token.command(
    "list", epilog="\b\nExamples:\n  penguinctl token list\n  penguinctl token list -o json\n"
)
@list_options
@pass_app
def list_(app: App, *, output_format: str) -> None:
    """Show all tokens, the newest first; secrets are known to nobody."""
    request = wire.token_pb2.ListTokensRequest()
    tokens: list[token_pb2.Token] = list(app.call("token.ListTokens", request).tokens)
    if not tokens:
        output.nothing(output_format, "No tokens.")
    listing.show(
        output_format,
        "tokens",
        tokens,
        _json,
        blank=wire.token_pb2.Token(),
        human=lambda items: _table(app, items),
    )


def _table(app: App, tokens: Sequence[token_pb2.Token]) -> None:
    if not tokens:
        return
    titles = ("TOKEN", "STATE", "USES", "EXPIRES", "BY", "APPROVAL")
    columns = [*map(Column, titles), *(Column(t, shrinks=True) for t in ("LABELS", "FROM", "NOTE"))]
    rows = [
        (
            item.token_id,
            item.state,
            f"{item.uses}/{item.max_uses}",
            moments.ago(item.expires_unix_ms, app.now),
            item.created_by,
            "yes" if item.needs_approval else "no",
            output.words(item.labels),
            output.words(item.cidrs),
            item.note or "-",
        )
        for item in tokens
    ]
    output.table(columns, rows)


def _json(item: token_pb2.Token) -> dict[str, Any]:
    return {
        "token_id": item.token_id,
        "state": item.state,
        "uses": item.uses,
        "max_uses": item.max_uses,
        "expires_time": moments.iso(item.expires_unix_ms),
        "created_by": item.created_by,
        "created_time": moments.iso(item.created_unix_ms),
        "cidrs": list(item.cidrs),
        "needs_approval": item.needs_approval,
        "labels": list(item.labels),
        "note": item.note,
    }


@token.command(epilog="\b\nExample:\n  penguinctl token revoke 0123456789abcdef\n")
@click.argument("token_id")
@output_option
@pass_app
def revoke(app: App, *, token_id: str, output_format: str) -> None:
    """End a token; devices that it let in stay in."""
    app.call("token.RevokeToken", wire.token_pb2.RevokeTokenRequest(token_id=token_id))
    value = {"token_id": token_id, "state": "revoked"}
    output.answer(output_format, value, lambda: ui.out(f"Revoked token {token_id}."))
