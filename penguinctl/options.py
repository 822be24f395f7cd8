"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from penguindome.names import valid_account_name

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., Any]")


def _account(context: click.Context, parameter: click.Parameter, value: str) -> str:
    if not valid_account_name(value):
        raise click.BadParameter(f"{value!r} is no account's name", context, parameter)
    return value


def _short(context: click.Context, parameter: click.Parameter, value: str) -> str:
    from penguindome.payload import TEXT_LIMIT_BYTES  # noqa: PLC0415 -- --help stays quick

    if len(value.encode(errors="replace")) > TEXT_LIMIT_BYTES:
        raise click.BadParameter(f"it has more than {TEXT_LIMIT_BYTES} bytes", context, parameter)
    return value


def user_option(help_text: str) -> Callable[[F], F]:
    """Return the option for an account on the devices."""
    return click.option(
        "--user", default="root", show_default=True, callback=_account, help=help_text
    )


def signed_reason_option(help_text: str) -> Callable[[F], F]:
    """Return the option for a reason that stands in an order."""
    return click.option("--reason", default="", callback=_short, help=help_text)


passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="PENGUINCTL_PASSPHRASE_FILE",
    help="For automation: the signing key's passphrase, instead of gpg asking for it.",
)

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")

reason_option = signed_reason_option("Why; stands in what you sign.")

accept_key_option = click.option(
    "--accept-key",
    default="",
    metavar="FINGERPRINT",
    help="Take a key that nothing proves, after comparing it with penguin-agent status there.",
)
