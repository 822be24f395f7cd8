"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

passphrase_option = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    envvar="PENGUINCTL_PASSPHRASE_FILE",
    help="For automation: the signing key's passphrase, instead of gpg asking for it.",
)

yes_option = click.option("--yes", is_flag=True, help="Do not ask.")

reason_option = click.option("--reason", default="", help="Why; stands in what you sign.")

accept_key_option = click.option(
    "--accept-key",
    default="",
    metavar="FINGERPRINT",
    help="Take a key that nothing proves, after comparing it with penguin-agent status there.",
)
