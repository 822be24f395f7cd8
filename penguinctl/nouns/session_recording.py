"""penguinctl session: what was recorded is watched, played, searched, exported and verified."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from penguinctl import output, ui
from penguinctl.app import App, pass_app
from penguinctl.exits import NotVerified
from penguinctl.output import output_option
from penguinctl.terminal_filter import TerminalFilter
from penguindome.display import printable
from penguindome.errors import InvalidInput, NotFound, PenguinDomeError, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.shell.verifying import Checked
    from penguindome.shell.transcript import Piece

_LONGEST_PAUSE_SECONDS = 2.0
_SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")


@click.command(epilog="\b\nExample:\n  penguinctl session watch 01M8AQTY\n")
@click.argument("session_id", metavar="SESSION")
@pass_app
def watch(app: App, session_id: str) -> None:
    """Show a session as it goes on, from its beginning; Ctrl-C leaves it.

    Whoever had to watch, since the session is moderated, ends it by leaving.
    """
    from penguinctl.shell import recording  # noqa: PLC0415 -- --help stays quick
    from penguindome.shell.transcript import split_lines  # noqa: PLC0415 -- as above

    order_id = _whole_id(app, session_id)
    shown = TerminalFilter()
    # Only the first piece has the recording's header.
    before: list[bytes] = []
    for piece in recording.pieces(app, order_id, follow=True):
        found = split_lines(recording.opened(piece).data)
        for event in recording.events([*before, *found]):
            if event.kind == "o":
                _write(shown.filter(event.data))
        before = [b"{}"]


@click.command(
    epilog="""\b
Examples:
  penguinctl session play 01M8AQTY
  penguinctl session play 01M8AQTY --speed 4 --pause 0.5
"""
)
@click.argument("session_id", metavar="SESSION")
@click.option(
    "--speed", type=click.FloatRange(0.1, 1000), default=1.0, show_default=True, help="How fast."
)
@click.option(
    "--pause",
    type=click.FloatRange(0),
    default=_LONGEST_PAUSE_SECONDS,
    show_default=True,
    help="Seconds that no pause is longer than.",
)
@pass_app
def play(app: App, session_id: str, speed: float, pause: float) -> None:
    """Play a recording, after verifying it; what acts on this terminal is left out."""
    from penguinctl.shell import recording  # noqa: PLC0415 -- --help stays quick

    found = _verified(app, session_id)
    shown, now = TerminalFilter(), 0.0
    for event in recording.events(recording.lines(found)):
        time.sleep(min(max(event.seconds - now, 0.0), pause) / speed)
        now = event.seconds
        if event.kind == "o":
            _write(shown.filter(event.data))
    ui.note("")


@click.command(
    epilog="""\b
Examples:
  penguinctl session search 01M8AQTY passwd
  penguinctl session search 01M8AQTY 'rm -rf [^ ]+' --regex -o json
"""
)
@click.argument("session_id", metavar="SESSION")
@click.argument("text", metavar="TEXT")
@click.option("--regex", is_flag=True, help="TEXT is a regular expression.")
@output_option
@pass_app
def search(app: App, session_id: str, text: str, *, regex: bool, output_format: str) -> None:
    """Find lines of what was shown; the time is since the session's beginning."""
    found = _verified(app, session_id)
    try:
        pattern = re.compile(text if regex else re.escape(text), re.IGNORECASE)
    except re.error as error:
        raise InvalidInput(f"this is no regular expression: {error}", subject=text) from None
    hits = [
        {"seconds": round(seconds, 3), "line": line}
        for seconds, line in _shown_lines(found)
        if pattern.search(line)
    ]
    output.answer(output_format, {"hits": hits}, lambda: _hits(hits))
    if not hits:
        output.end_with_nothing()


@click.command(
    epilog="""\b
Examples:
  penguinctl session export 01M8AQTY > session.cast
  penguinctl session export 01M8AQTY --text > session.txt
"""
)
@click.argument("session_id", metavar="SESSION")
@click.option("--text", is_flag=True, help="The exact bytes that were shown, without times.")
@pass_app
def export(app: App, session_id: str, *, text: bool) -> None:
    """Write a recording to standard output, after verifying it: asciicast v2."""
    from penguinctl.shell import recording  # noqa: PLC0415 -- --help stays quick

    found = recording.lines(_verified(app, session_id))
    if text:
        for event in recording.events(found):
            if event.kind == "o":
                _write(event.data)
        return
    recording.header(found)
    _write(b"\n".join(found) + b"\n")


@click.command(
    epilog="""\b
Examples:
  penguinctl session verify 01M8AQTY
  penguinctl session verify 01M8AQTY -o json
"""
)
@click.argument("session_id", metavar="SESSION")
@output_option
@pass_app
def verify(app: App, session_id: str, output_format: str) -> None:
    """Check that a recording is what the device recorded, all of it."""
    from penguinctl.shell import verifying  # noqa: PLC0415 -- --help stays quick

    one = verifying.checked(app, session_id)
    if not one.pieces:
        raise _none(app, one)
    result, order_id = one.result, one.session.order_id
    problem = result.problem or verifying.against_receipt(app, one)
    value: dict[str, Any] = {
        "session_id": order_id,
        "good": not problem,
        "problem": problem,
        "good_lines": result.lines,
        "complete": result.is_complete,
        "chain": result.chain.hex(),
        **verifying.keys_json(one),
    }
    said = [f"Whole and unchanged: {result.lines:,} lines.", *verifying.keys_words(app, one)]
    output.answer(output_format, value, lambda: ui.out("\n".join(said)) if not problem else None)
    if problem and not one.session.ended_unix_ms and _is_good_so_far(one):
        raise PreconditionFailed(
            f"the session goes on: {result.lines:,} lines are good, and its end is to come",
            code="session-open",
            subject=order_id,
        )
    if problem:
        raise _refused(problem, order_id)


COMMANDS = (watch, play, search, export, verify)


def _whole_id(app: App, session_id: str) -> str:
    from penguinctl.shell.opening import session_of  # noqa: PLC0415 -- --help stays quick

    found: str = session_of(app, session_id).session.order_id
    return found


def _verified(app: App, session_id: str) -> list[Piece]:
    """Return a recording that is whole as far as it goes; its missing end is said, not refused."""
    from penguinctl.shell import verifying  # noqa: PLC0415 -- --help stays quick

    one = verifying.checked(app, session_id)
    if not one.pieces:
        raise _none(app, one)
    if one.result.problem and not _is_good_so_far(one):
        raise _refused(one.result.problem, one.session.order_id)
    if not one.result.is_complete:
        ui.note("The end of this recording is not here, or not yet.")
    return one.pieces


def _is_good_so_far(one: Checked) -> bool:
    """Tell whether nothing is wrong with a recording but that its end is missing."""
    from penguinctl.shell import recording  # noqa: PLC0415 -- --help stays quick

    return sum(len(recording.lines([piece])) for piece in one.pieces) == one.result.lines


def _none(app: App, one: Checked) -> PenguinDomeError:
    """Return the error for a session of which nothing is recorded here."""
    from penguinctl.shell.receipts import recorded_chain  # noqa: PLC0415 -- --help stays quick

    session = one.session
    order_id = session.order_id
    if not session.ended_unix_ms:
        return NotFound("nothing of this session is recorded yet", subject=order_id)
    if recorded_chain(app, order_id, one.held) == "":
        why = f": {session.ended_reason}" if session.ended_reason else ""
        return NotFound(f"the device did not record this session{why}", subject=order_id)
    return _refused("all of it is missing", order_id)


def _refused(problem: str, order_id: str) -> NotVerified:
    remedy = "Keep what is there, and ask who had access to the database"
    if problem.endswith("is missing"):
        remedy = f"A device that is away hands it in later; or else: {remedy.lower()}"
    return NotVerified(
        f"the recording is not what the device recorded: {problem}",
        subject=order_id,
        code="recording-changed",
        remedy=remedy,
    )


def _shown_lines(found: Sequence[Piece]) -> list[tuple[float, str]]:
    """Return lines of output without sequences, each with the time of its end."""
    from penguinctl.shell import recording  # noqa: PLC0415 -- --help stays quick

    lines: list[tuple[float, str]] = []
    line, seconds = "", 0.0
    for event in recording.events(recording.lines(found)):
        seconds = event.seconds
        if event.kind != "o":
            continue
        *whole, line = (line + event.text).split("\n")
        lines += [(seconds, _SEQUENCES.sub("", one)) for one in whole]
    return [*lines, (seconds, _SEQUENCES.sub("", line))]


def _hits(hits: Sequence[dict[str, Any]]) -> None:
    for one in hits:
        ui.out(f"{one['seconds']:>10.3f}  {printable(one['line'])}")


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
