"""penguinctl cp: copy one file to or from a device."""

from __future__ import annotations

import stat
from pathlib import Path
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
from penguindome.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from penguinctl.shell.copying import Copied


@click.command(
    epilog="""\b
Examples:
  penguinctl cp web-1:/var/log/syslog .
  penguinctl cp nginx.conf web-1:/etc/nginx/nginx.conf --reason 'ticket 4711'
  penguinctl cp notes.txt web-1:notes.txt --user alice
"""
)
@click.argument("source", metavar="[DEVICE:]SOURCE")
@click.argument("target", metavar="[DEVICE:]TARGET")
@user_option("The account on the device.")
@signed_reason_option("Why; the device's user and the ledger are told.")
@click.option("--wait", is_flag=True, help="Wait for a device that is not connected.")
@accept_key_option
@passphrase_option
@pass_app
def cp(
    app: App,
    /,
    source: str,
    target: str,
    **options: Any,
) -> None:
    """Copy one file; exactly one of the two is on a device.

    The copy goes through a session like a shell's: sealed, told to the people at the device, and
    noted in the ledger; of what goes to a device, the hash, too. A copy that was broken off goes on
    where it was when the same command is given again; the file appears under its name only when it
    is whole.
    """
    there, here = _split(source), _split(target)
    if bool(there[0]) == bool(here[0]):
        raise InvalidInput(
            "exactly one of source and target has to be on a device",
            subject=f"{source} {target}",
            remedy="Write DEVICE:PATH for that one",
        )
    copied = _to(app, Path(source), here, options) if here[0] else _from(
        app, there, Path(target), options
    )  # fmt: skip
    ui.out(f"{copied.path}: {copied.size:,} bytes, SHA-256 {copied.sha256}")


def _to(app: App, source: Path, where: tuple[str, str], options: dict[str, Any]) -> Copied:
    from penguinctl.shell import copying  # noqa: PLC0415 -- --help stays quick

    if not source.is_file():
        raise NotFound("there is no such file here", subject=str(source))
    status = source.stat()
    digest = copying.hash_of(source)
    path = where[1] or source.name
    opened = _open(
        app,
        where[0],
        options,
        purpose="copy-to",
        path=path + source.name if path.endswith("/") else path,
        size=status.st_size,
        mode=stat.S_IMODE(status.st_mode) & 0o777,
        sha256=digest,
    )
    return copying.copy_to(app, opened, source, digest, copying.progress(source.name))


def _from(app: App, where: tuple[str, str], target: Path, options: dict[str, Any]) -> Copied:
    from penguinctl.shell import copying  # noqa: PLC0415 -- --help stays quick

    name = where[1].rpartition("/")[2]
    if not name:
        raise InvalidInput("this names no file", subject=where[1])
    target = target / name if target.is_dir() else target
    if not target.parent.is_dir():
        raise NotFound("there is no such folder here", subject=str(target.parent))
    part = copying.part_of(target)
    offset = part.stat().st_size if part.is_file() else 0
    opened = _open(app, where[0], options, purpose="copy-from", path=where[1], offset=offset)
    return copying.copy_from(app, opened, target, offset, copying.progress(name))


def _open(app: App, device: str, options: dict[str, Any], **wishes: Any) -> Any:
    from penguinctl.shell.opening import open_session  # noqa: PLC0415 -- --help stays quick

    return open_session(app, device, terminal=False, **options, **wishes)


def _split(text: str) -> tuple[str, str]:
    """Return the device and the path of DEVICE:PATH; no device for a local path."""
    head, colon, tail = text.partition(":")
    if not colon or "/" in head or not head:
        return "", text
    return head, tail
