"""penguinctl shell: a terminal, or one program, on a device."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from penguinctl import ui
from penguinctl.app import App, pass_app
from penguinctl.options import (
    accept_key_option,
    passphrase_option,
    signed_reason_option,
    user_option,
)
from penguindome.errors import InvalidInput, PenguinDomeError
from penguindome.times import parse_duration

if TYPE_CHECKING:
    from pathlib import Path

    from penguindome.shell.frames import Exit

FAILED = 255


@click.command(
    epilog="""\b
Examples:
  penguinctl shell web-1
  penguinctl shell web-1 --user alice --reason 'printer, ticket 4711'
  penguinctl shell web-1 -- systemctl restart cups
  penguinctl shell web-1 -- 'dmesg | tail' > dmesg.txt
  penguinctl shell web-1 --wait
""",
    context_settings={"ignore_unknown_options": False},
)
@click.argument("device", metavar="DEVICE")
@click.argument("command", nargs=-1, metavar="[-- COMMAND]...")
@user_option("The account on the device.")
@signed_reason_option("Why; the device's user and the ledger are told.")
@click.option(
    "-t",
    "--terminal",
    "terminal",
    flag_value=True,
    type=bool,
    default=None,
    help="With a terminal. [default: without COMMAND, and at one]",
)
@click.option(
    "-T",
    "--no-terminal",
    "terminal",
    flag_value=False,
    type=bool,
    default=None,
    help="Without a terminal: bytes pass as they are.",
)
@click.option("--wait", is_flag=True, help="Wait for a device that is not connected.")
@click.option(
    "--escape",
    default="~",
    show_default=True,
    metavar="CHAR",
    help="The escape character, or 'none'.",
)
@click.option(
    "--raw-terminal",
    is_flag=True,
    help="Show everything, also what acts on your own machine: titles, clipboard, answers.",
)
@click.option(
    "--idle", default="15m", show_default=True, help="End it after so long without input."
)
@click.option("--longest", default="4h", show_default=True, help="End it after so long.")
@click.option(
    "--recording",
    type=click.Choice(["required", "kept", "off"]),
    default="required",
    show_default=True,
    help="'required': no recording, no session.",
)
@click.option(
    "--auditor-key",
    "auditor_keys",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=str),
    help="Seal the recording to this OpenPGP public key (binary); may be repeated.",
)
@click.option(
    "--moderated",
    is_flag=True,
    help="Another operator who approved it has to watch; the session ends when they leave.",
)
@accept_key_option
@passphrase_option
@pass_app
def shell(
    app: App,
    /,
    *,
    device: str,
    command: tuple[str, ...],
    terminal: bool | None,
    wait: bool,
    escape: str,
    raw_terminal: bool,
    passphrase_file: Path | None,
    reason: str,
    **wishes: Any,
) -> int:
    """Open a terminal on a device, or run one program there.

    Nobody in between can read what passes. The session is recorded, the people at the device are
    told, and everything that was started ends with it. One word after -- goes to the account's
    shell, several are run as they are. At the beginning of a line, ~. ends the session and ~? lists
    more. The exit status is the program's, or 255 where there was no session or it was cut short.
    """
    character = _escape(escape)
    _get_gpg_ready(app)
    from penguinctl.shell.opening import open_session  # noqa: PLC0415 -- --help stays quick
    from penguinctl.shell.terminal import size  # noqa: PLC0415 -- as above

    if terminal is None:
        terminal = not command and sys.stdin.isatty()
    body = {"argv": command, "terminal": terminal, **_terminal(*size()), **_limits(**wishes)}
    try:
        opened = open_session(
            app, device, reason=reason, passphrase_file=passphrase_file, wait=wait, **body
        )
        from penguinctl.shell.running import end_quickly, run_shell  # noqa: PLC0415 -- while the device begins

        how = run_shell(
            app,
            opened,
            has_terminal=terminal and sys.stdin.isatty(),
            escape=character,
            filters=terminal and not raw_terminal,
        )
    except PenguinDomeError as error:
        # Not an exit code of ours: it could be the program's.
        ui.note(ui.Styled("penguinctl: ", "red"), " ".join(error.text().split("\n")))
        return FAILED
    return end_quickly(_told(how, device, at_terminal=terminal))


def _get_gpg_ready(app: App) -> None:
    """Have gpg start while everything is loaded; what is wrong is told where it signs."""
    from penguinctl import signing  # noqa: PLC0415 -- --help stays quick

    with suppress(PenguinDomeError, OSError):
        signing.get_ready(app.profile)


def _terminal(columns: int, rows: int) -> dict[str, Any]:
    """Return what the device is told of our terminal."""
    from penguindome.orders.shell_body import is_word  # noqa: PLC0415 -- --help stays quick
    from penguindome.shell.frames import SIZE_LIMIT  # noqa: PLC0415 -- as above

    lang = os.environ.get("LC_ALL") or os.environ.get("LANG", "")
    term = os.environ.get("TERM", "")
    return {
        "term": term if is_word(term) else "dumb",
        "lang": lang if is_word(lang) else "",
        "columns": min(columns, SIZE_LIMIT),
        "rows": min(rows, SIZE_LIMIT),
    }


def _limits(
    *, idle: str, longest: str, auditor_keys: tuple[str, ...], **others: Any
) -> dict[str, Any]:
    """Return the other options as an order has them."""
    from penguindome.orders import shell_body  # noqa: PLC0415 -- --help stays quick

    return {
        "idle_seconds": _seconds("--idle", idle, shell_body.IDLE_LIMIT_SECONDS),
        "longest_seconds": _seconds("--longest", longest, shell_body.LONGEST_LIMIT_SECONDS),
        "auditor_keys": _keys(auditor_keys),
        **others,
    }


def _seconds(option: str, text: str, most: int) -> int:
    from penguindome.orders.shell_body import LEAST_SECONDS  # noqa: PLC0415 -- as above

    seconds = int(parse_duration(text).total_seconds())
    if not LEAST_SECONDS <= seconds <= most:
        raise InvalidInput(f"{option} is from {LEAST_SECONDS}s to {most // 3600}h", subject=text)
    return seconds


def _told(how: Exit, device: str, *, at_terminal: bool) -> int:
    from penguinctl.shell.client import LEFT  # noqa: PLC0415 -- --help stays quick

    if how.code == LEFT and at_terminal:
        ui.note(f"The session on {device} is ended.")
    if how.code == LEFT:
        return FAILED
    if how.reason:
        ui.note(f"The session on {device} was ended: {how.reason}.")
        return FAILED
    return how.status


def _escape(text: str) -> bytes | None:
    if text == "none":
        return None
    if len(text.encode()) != 1:
        raise InvalidInput("an escape is one character, or 'none'", subject=text)
    return text.encode()


def _keys(paths: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(_key(one) for one in paths)


def _key(name: str) -> bytes:
    """Return an auditor's key; only the device tries whether it can seal to it."""
    from pathlib import Path  # noqa: PLC0415 -- only here

    from penguindome.orders.shell_body import KEY_LIMIT_BYTES  # noqa: PLC0415 -- --help stays quick

    data = Path(name).read_bytes()
    # RFC 9580, 4.2: a packet's first byte has its highest bit set, which no text's has.
    if not data or not data[0] & 0x80:
        raise InvalidInput(
            "this is no OpenPGP key in binary form",
            subject=name,
            remedy="Write it with gpg --export, without --armor",
        )
    if len(data) > KEY_LIMIT_BYTES:
        raise InvalidInput(
            f"the key has more than {KEY_LIMIT_BYTES:,} bytes",
            subject=name,
            remedy="Write it with gpg --export-options export-minimal --export",
        )
    return data
