"""penguinctl check: the rules that judge devices."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import click

from penguinctl import listing, output, ui, wire
from penguinctl.app import App, pass_app
from penguinctl.listing import list_options
from penguinctl.output import Column, output_option
from penguinctl.severity import styled
from penguinctl.watching import watch_option
from penguindome.display import printable
from penguindome.times import format_duration

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penguindome.v1 import check_pb2


@click.group()
def check() -> None:
    """Checks: the rules that judge devices.

    Checks are YAML files on the server; the site's own stand in its checks.d folder.
    """


@check.command("list", epilog="\b\nExample:\n  penguinctl check list\n")
@list_options
@pass_app
def list_(app: App, *, output_format: str) -> None:
    """Show the enabled checks, and the files that could not be loaded."""
    response: check_pb2.ListChecksResponse = app.call(
        "check.ListChecks", wire.check_pb2.ListChecksRequest()
    )
    problems = [{"origin": p.origin, "reason": p.reason} for p in response.problems]
    listing.show(
        output_format,
        "checks",
        response.checks,
        _json,
        blank=wire.check_pb2.Check(),
        human=_list,
        beside={"problems": problems},
    )
    if output_format not in ("json", "yaml"):
        for problem in response.problems:
            ui.note(ui.Styled("Not loaded: ", "red"), f"{problem.origin}: {problem.reason}")


def _list(checks: Sequence[check_pb2.Check]) -> None:
    if not checks:
        ui.out("No checks.")
    else:
        columns = (
            Column("CHECK"),
            Column("SEVERITY"),
            Column("GRACE"),
            Column("ALERT EVERY"),
            Column("ORIGIN", shrinks=True),
            Column("SUMMARY", shrinks=True, least=24),
        )
        output.table(columns, [_row(item) for item in checks])


def _row(item: check_pb2.Check) -> tuple[str | ui.Styled, ...]:
    return (
        item.name,
        styled(item.severity),
        _span(item.grace_seconds),
        _span(item.alert_period_seconds),
        item.origin,
        item.summary,
    )


def _span(seconds: int) -> str:
    from datetime import timedelta  # noqa: PLC0415 -- one use

    return format_duration(timedelta(seconds=seconds)) if seconds else "-"


@check.command(epilog="\b\nExample:\n  penguinctl check show firewall-disabled\n")
@click.argument("name")
@watch_option
@output_option
@pass_app
def show(app: App, name: str, output_format: str) -> None:
    """Show one check: its rule, and which devices fail it now."""
    request = wire.check_pb2.GetCheckRequest(name=name)
    response: check_pb2.GetCheckResponse = app.call("check.GetCheck", request)
    _answer(output_format, response)


@check.command(
    epilog="""\b
Examples:
  penguinctl check test no-telnet.yaml
  penguinctl check test - < no-telnet.yaml
"""
)
@click.argument("file", type=click.File("r", encoding="utf-8"))
@output_option
@pass_app
def test(app: App, file: IO[str], output_format: str) -> None:
    """Show what a check in FILE would find now, without enabling it; - reads standard input."""
    request = wire.check_pb2.TestCheckRequest(source=file.read())
    response: check_pb2.TestCheckResponse = app.call("check.TestCheck", request)
    _answer(output_format, response)


def _answer(
    output_format: str, response: check_pb2.GetCheckResponse | check_pb2.TestCheckResponse
) -> None:
    value = {"check": _json(response.check), "verdicts": _verdicts_json(response.verdicts)}
    output.answer(output_format, value, lambda: _show(response))


def _show(response: check_pb2.GetCheckResponse | check_pb2.TestCheckResponse) -> None:
    item, verdicts = response.check, response.verdicts
    output.pairs(
        [
            ("Check", item.name),
            ("Summary", item.summary),
            ("Severity", styled(item.severity)),
            ("Grace", _span(item.grace_seconds)),
            ("Alert every", _span(item.alert_period_seconds)),
            ("Remedy", item.remedy or "-"),
            ("Origin", item.origin or "-"),
            ("Failing", str(len(verdicts.failing))),
            ("Passing", str(verdicts.passing)),
            ("Unknown", str(len(verdicts.unknown))),
            ("Not applicable", str(verdicts.not_applicable)),
        ]
    )
    _devices("Failing devices:", verdicts.failing)
    _devices("Devices that it cannot tell about:", verdicts.unknown)
    if item.source:
        ui.out(ui.Styled("Rule:", "bold"))
        ui.out("\n".join(f"  {line}" for line in item.source.rstrip("\n").split("\n")))


def _devices(title: str, references: Iterable[check_pb2.DeviceReference]) -> None:
    lines = [f"  {printable(r.hostname)}  {r.device_id}" for r in references]
    if lines:
        ui.out(ui.Styled(title, "bold"))
        for line in lines:
            ui.out(line)


def _json(item: check_pb2.Check) -> dict[str, Any]:
    return {
        "name": item.name,
        "summary": item.summary,
        "severity": item.severity,
        "grace_seconds": item.grace_seconds,
        "alert_period_seconds": item.alert_period_seconds,
        "remedy": item.remedy,
        "source": item.source,
        "origin": item.origin,
    }


def _verdicts_json(verdicts: check_pb2.CheckVerdicts) -> dict[str, Any]:
    return {
        "failing": [_reference(item) for item in verdicts.failing],
        "passing": verdicts.passing,
        "unknown": [_reference(item) for item in verdicts.unknown],
        "not_applicable": verdicts.not_applicable,
    }


def _reference(item: check_pb2.DeviceReference) -> dict[str, str]:
    return {"device_id": item.device_id, "hostname": item.hostname}
