"""Running a command on devices: written, signed, followed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import click

from penguinctl import exits, order_results, order_view, ordering, output, ui, wire
from penguindome.durable import read_file
from penguindome.errors import InvalidInput
from penguindome.orders.bodies import MIB, SCRIPT_LIMIT_BYTES, TIMEOUT_LIMIT_SECONDS, CommandBody
from penguindome.times import format_duration, parse_duration

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta
    from pathlib import Path

    from penguinctl.app import App
    from penguinctl.order_follow import Seen
    from penguindome.v1 import order_pb2

_OTHER = re.compile(r"[^A-Za-z0-9_-]+")
_NAME_LENGTH = 64


@dataclass(frozen=True, slots=True)
class Program:
    """What runs: words, or a script with words as its arguments."""

    words: tuple[str, ...]
    script: Path | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line's options say; spans of time as they were typed."""

    name: str
    user: str
    timeout: str
    ttl: str
    reason: str
    output_limit: int
    wait: bool
    detach: bool
    yes: bool
    passphrase_file: Path | None


def run(
    app: App, selectors: Sequence[str], program: Program, wishes: Wishes, output_format: str
) -> None:
    """Order a command and follow it.

    Raises:
        Exit: How it ended.
        PenguinDomeError: It could not be ordered.
    """
    # What cannot be read is refused before anything is asked or sent.
    argv, script = _contents(program)
    timeout, ttl = _timeout(wishes.timeout), parse_duration(wishes.ttl)
    picked = ordering.pick(app, selectors, "command")
    body = CommandBody(
        hostnames=picked.hostnames,
        name=wishes.name or _default_name(program),
        argv=argv,
        script=script,
        user=wishes.user,
        timeout_seconds=timeout,
        output_limit_bytes=wishes.output_limit * MIB,
    )
    draft = ordering.Draft("command", body.to_json(), picked.device_ids, ttl, wishes.reason)
    signed = ordering.signed(app, draft, passphrase_file=wishes.passphrase_file, yes=wishes.yes)
    order = ordering.submit(app, signed.envelope)
    ordering.tell_missing(order, signed)
    if wishes.detach or (order.missing_signatures and not wishes.wait):
        _left_alone(order, output_format)
        raise click.exceptions.Exit(exits.OK if wishes.detach else exits.WAITING)
    watcher = order_results.Watcher(picked.hostnames, output_format, output=True)
    seen = watcher.follow(app, order, wait=wishes.wait)
    _tell_results(watcher, seen, output_format)
    code = order_results.exit_code(seen.targets.values(), len(picked.denying))
    raise click.exceptions.Exit(code)


def _tell_results(watcher: order_results.Watcher, seen: Seen, output_format: str) -> None:
    if output_format == "table":
        order_results.summarize(seen)
    elif output_format != "ndjson":
        blank = wire.order_pb2.OrderTarget()
        rows = [order_view.target_json(t) | watcher.texts(t) for t in (blank, *seen.sorted())]
        order_results.document(seen.order, rows[1:], output_format, list(rows[0]))
    if seen.left():
        ui.note(f"See how it ends: penguinctl command show {seen.order.order_id}")


def _left_alone(order: order_pb2.Order, output_format: str) -> None:
    said = f"Order {order.order_id}: see how it ends with penguinctl command show {order.order_id}"
    output.answer(output_format, order_view.order_json(order), lambda: ui.out(said))


def _contents(program: Program) -> tuple[tuple[str, ...], bytes]:
    """Return argv and script."""
    if program.script is None:
        words = program.words
        return (("/bin/sh", "-c", words[0]) if len(words) == 1 else words), b""
    data = read_file(program.script, SCRIPT_LIMIT_BYTES)
    if not data.startswith(b"#!"):
        raise InvalidInput(
            "this is no script: it does not begin with #!",
            subject=str(program.script),
            remedy="Begin it with e.g. #!/bin/sh",
        )
    return program.words, data


def _default_name(program: Program) -> str:
    if program.script is not None:
        word = program.script.stem
    else:
        first = program.words[0].split()
        word = PurePath(first[0]).name if first else ""
    return _OTHER.sub("-", word).strip("-")[:_NAME_LENGTH] or "command"


def _timeout(text: str) -> int:
    span: timedelta = parse_duration(text)
    if span.total_seconds() > TIMEOUT_LIMIT_SECONDS:
        raise InvalidInput(
            "a command may run for 1d at most", subject=format_duration(span), remedy="See --help"
        )
    return int(span.total_seconds())
