"""penguinctl trust: who may sign what, and until when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penguinctl import moments, output, ui
from penguinctl.app import App, pass_app
from penguinctl.nouns import trust_server
from penguinctl.options import passphrase_option, yes_option
from penguinctl.output import output_option
from penguinctl.watching import watch_option
from penguindome.errors import PreconditionFailed
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from penguinctl.trust_store import TrustStore
    from penguindome.trust import TrustDocument


@click.group()
def trust() -> None:
    """The trust document: who may sign what, and until when."""


@trust.command(epilog="\b\nExamples:\n  penguinctl trust show\n  penguinctl trust show -o json\n")
@watch_option
@output_option
@pass_app
def show(app: App, output_format: str) -> None:
    """Show the newest trust document, after verifying it here."""
    from penguinctl.trust_renewal import warn  # noqa: PLC0415 -- --help stays quick

    store = trust_server.refreshed(app)
    document = store.current()
    value = _json(document, store.pin())
    output.answer(output_format, value, lambda: _show(app, document, store.pin()))
    warn(document, app.now)


@trust.command(epilog="\b\nExample:\n  penguinctl trust renew\n")
@passphrase_option
@output_option
@pass_app
def renew(app: App, *, passphrase_file: Path | None, output_format: str) -> None:
    """Sign and publish the next version: the same keys and roles, for another year.

    It needs an operator whose signing key has the root role. Devices fetch it by themselves; tokens
    made before stay good.
    """
    from penguindome.trust import renewed  # noqa: PLC0415 -- --help stays quick

    store = trust_server.refreshed(app)
    following = renewed(store.current(), app.now)
    _publish(app, store, following, passphrase_file, output_format)


@trust.command(
    epilog="""\b
Examples:
  penguinctl trust add bob --key-file bob.gpg
  penguinctl trust add bob --key-file bob.gpg --yes
"""
)
@click.argument("operator", metavar="OPERATOR")
@click.option(
    "--key-file",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The operator's OpenPGP public key, binary.",
)
@yes_option
@passphrase_option
@output_option
@pass_app
def add(
    app: App,
    *,
    operator: str,
    key_file: Path,
    yes: bool,
    passphrase_file: Path | None,
    output_format: str,
) -> None:
    """Let a further operator sign, in every role.

    Compare the fingerprint with the one that `penguinctl init` told the operator, who makes the
    file with: gpg --export --export-options export-minimal FINGERPRINT
    """
    from penguindome.openpgp import key_fingerprint  # noqa: PLC0415 -- --help stays quick
    from penguindome.trust import joined  # noqa: PLC0415 -- as above

    store = trust_server.refreshed(app)
    key = key_file.read_bytes()
    following = joined(store.current(), operator, key, app.now)
    ui.note(f"The key of {operator}: {key_fingerprint(key)}")
    if not yes:
        _confirm(operator, f"let {operator} sign orders for every device")
    _publish(app, store, following, passphrase_file, output_format)


@trust.command(epilog="\b\nExample:\n  penguinctl trust remove bob\n")
@click.argument("operator", metavar="OPERATOR")
@yes_option
@passphrase_option
@output_option
@pass_app
def remove(
    app: App, *, operator: str, yes: bool, passphrase_file: Path | None, output_format: str
) -> None:
    """Let an operator's signature count no more.

    What the operator may ask of the server ends with `penguind operator revoke`, on the server.
    """
    from penguindome.trust import left  # noqa: PLC0415 -- --help stays quick

    store = trust_server.refreshed(app)
    following = left(store.current(), operator, app.now)
    if not yes:
        _confirm(operator, f"let nothing that {operator} signs count")
    _publish(app, store, following, passphrase_file, output_format)


def _confirm(operator: str, act: str) -> None:
    if ui.ask(f"To {act}, type the operator's name:") != operator:
        raise PreconditionFailed(
            "what was typed is not the operator's name",
            subject=operator,
            code="not-confirmed",
            remedy="Nothing was done",
        )


def _publish(
    app: App,
    store: TrustStore,
    following: TrustDocument,
    passphrase_file: Path | None,
    output_format: str,
) -> None:
    trust_server.publish(app, store, following, passphrase_file)
    document = store.current()
    value = _json(document, store.pin())
    end = moments.local(to_unix_ms(document.expires_time), app.now)
    said = f"Trust document {document.version} is signed and published; it ends {end}."
    output.answer(output_format, value, lambda: ui.out(said))


def _show(app: App, document: TrustDocument, digest: bytes) -> None:
    from penguinctl.server_trust import fingerprint, written  # noqa: PLC0415 -- --help stays quick

    rows: list[tuple[str, str | ui.Styled]] = [
        ("Version", str(document.version)),
        ("Hash", digest.hex()),
        ("Fleet", document.fleet),
        ("Issued", moments.local(to_unix_ms(document.issued_time), app.now)),
        ("Ends", moments.local(to_unix_ms(document.expires_time), app.now)),
    ]
    rows += [
        (f"Key of {document.operators[one]}", one)
        for one in sorted(document.operators, key=document.operators.__getitem__)
    ]
    rows += [
        (f"Role {name}", f"{role.threshold} of {_names(document, role.fingerprints)}")
        for name, role in document.roles.items()
    ]
    rows += [("TLS anchor", fingerprint(one)) for one in document.tls_anchors]
    rows += [("Address", written(one)) for one in document.server_addresses]
    output.pairs(rows)


def _names(document: TrustDocument, fingerprints: tuple[str, ...]) -> str:
    return output.words([document.operators[one] for one in fingerprints])


def _json(document: TrustDocument, digest: bytes) -> dict[str, Any]:
    from penguinctl.server_trust import fingerprint, written  # noqa: PLC0415 -- --help stays quick

    return {
        "version": document.version,
        "hash": digest.hex(),
        "fleet_id": document.fleet,
        "issued_time": moments.iso(to_unix_ms(document.issued_time)),
        "expires_time": moments.iso(to_unix_ms(document.expires_time)),
        "operators": [
            {"name": name, "fingerprint": one} for one, name in sorted(document.operators.items())
        ],
        "roles": {
            name: {
                "threshold": role.threshold,
                "operators": [document.operators[one] for one in role.fingerprints],
            }
            for name, role in document.roles.items()
        },
        "tls_anchors": [fingerprint(one) for one in document.tls_anchors],
        "server_addresses": [written(one) for one in document.server_addresses],
    }


trust.add_command(trust_server.anchors)
trust.add_command(trust_server.addresses)
