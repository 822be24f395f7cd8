"""penguinctl init: become an operator by an invitation."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penguinctl import ui
from penguinctl.app import App, pass_app
from penguinctl.options import passphrase_option
from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from penguindome.tokens import Invitation

_HASH = re.compile(r"[0-9a-f]{64}")


@click.command(
    epilog="""\b
Examples:
  penguinctl init --invitation-file invitation.txt
  penguinctl init < invitation.txt
  penguinctl init --invitation-file invitation.txt --gpg-key "$FINGERPRINT"
"""
)
@click.argument("words", nargs=-1, metavar="")
@click.option(
    "--invitation-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the invitation is. [default: standard input]",
)
@click.option(
    "--gpg-key", metavar="FINGERPRINT", help="Sign with this key of yours; else one is made."
)
@click.option(
    "--gpg-home",
    type=click.Path(path_type=Path, file_okay=False),
    help="The GnuPG home of your key, or of the one to make.",
)
@click.option("--trust-hash", default="", help="The trust document's hash, told by an operator.")
@passphrase_option
@pass_app
def init(
    app: App,
    *,
    words: tuple[str, ...],
    invitation_file: Path | None,
    gpg_key: str | None,
    gpg_home: Path | None,
    trust_hash: str,
    passphrase_file: Path | None,
) -> None:
    """Become an operator by the invitation that you were given.

    The invitation is read from a file or from standard input, never from the command line, where
    others could see it. Running again after an interruption goes on where it stopped; without an
    invitation, in a profile that was set up, it only looks after key and trust document.
    """
    if app.server:
        raise click.UsageError("the invitation says where the server is: leave --server out")
    if words or str(invitation_file).startswith("pdi1."):
        raise _exposed()
    from penguinctl.setting_up import Setup, SigningWish  # noqa: PLC0415 -- --help stays quick

    if trust_hash and not _HASH.fullmatch(trust_hash):
        raise InvalidInput(
            "this is no trust hash", subject=trust_hash, remedy="It has 64 digits 0-9a-f"
        )
    invitation = _invitation(app, invitation_file)
    setup = Setup(app, SigningWish(gpg_key, gpg_home, passphrase_file))
    setup.run(invitation, bytes.fromhex(trust_hash))


def _exposed() -> click.UsageError:
    # Without the words themselves: they may be the secret.
    return click.UsageError(
        "an invitation on the command line can be read by every user of this machine and counts"
        " as exposed: ask for a new one, and give it by standard input or --invitation-file"
    )


def _invitation(app: App, path: Path | None) -> Invitation | None:
    """Read the invitation; None if nobody gave one and the profile can go on without."""
    from penguindome.tokens import decode_invitation  # noqa: PLC0415 -- --help stays quick

    if path is not None:
        text = _file_text(path)
    elif app.folder.exists() and sys.stdin.isatty():
        return None
    else:
        if sys.stdin.isatty():
            ui.note("Paste the invitation and press Enter:")
        text = sys.stdin.readline()
    if not text.strip() and path is None and app.folder.exists():
        return None
    return decode_invitation(text)


def _file_text(path: Path) -> str:
    try:
        return path.read_bytes()[:65_536].decode("utf-8", "replace")
    except OSError as error:
        raise InvalidInput(
            f"the invitation cannot be read: {error.strerror}",
            subject=str(path),
            remedy="Give the file that `penguind setup` or an administrator wrote",
        ) from error
