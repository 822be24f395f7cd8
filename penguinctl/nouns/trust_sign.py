"""penguinctl trust sign, publish, withdraw: what becomes of a proposed trust document."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from penguinctl import output, ui
from penguinctl.app import App, pass_app
from penguinctl.nouns import trust_server
from penguinctl.nouns.trust_propose import confirm
from penguinctl.options import passphrase_option, yes_option
from penguinctl.output import output_option
from penguinctl.trust_refresh import refreshed
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from pathlib import Path

    from penguinctl.trust_proposals import Proposed
    from penguinctl.trust_store import TrustStore

# 64 bits of the hash, which nobody finds a second document for between two looks.
_HASH_PREFIX = 16


@click.command(
    epilog="""\b
Examples:
  penguinctl trust sign
  penguinctl trust sign --yes --hash 3f9a0c11d2e40b77
"""
)
@click.option(
    "--hash",
    "compared",
    default="",
    metavar="HASH",
    help="The hash of what you want to sign, as `trust show` says it; 16 digits suffice.",
)
@yes_option
@passphrase_option
@output_option
@pass_app
def sign(
    app: App, *, compared: str, yes: bool, passphrase_file: Path | None, output_format: str
) -> None:
    """Sign what is proposed as the next version of the trust document.

    It shows everything that would change, and asks. What is signed are the bytes that were shown:
    if the server has others by then, nothing is signed. With --yes, --hash says what you looked at.
    """
    from penguinctl import signing, trust_proposals, trust_view  # noqa: PLC0415 -- --help stays quick
    from penguinctl.trust_renewal import check_root  # noqa: PLC0415 -- as above
    from penguindome.trust import KIND  # noqa: PLC0415 -- as above

    if yes and not compared:
        raise click.UsageError("--yes needs --hash: the hash of what you looked at")
    store = refreshed(app)
    found = trust_proposals.required(app.session, store.current(), app.now)
    key = signing.own_key(app.profile, passphrase_file)
    check_root(found.current, found.document, key.fingerprint)
    _check_compared(found, compared)
    if key.fingerprint in found.standing.signed:
        ui.note("You signed it already.")
    else:
        _show(app, found)
        if not yes:
            version = str(found.document.version)
            confirm(f"To sign it, type {version}:", version)
        trust_proposals.check_unchanged(app.session, found)
        signature = signing.sign(key, KIND, found.envelope.payload).signatures[0]
        found = trust_proposals.sign(app.session, found, signature, app.now)
    value = trust_view.document_json(store.current(), store.pin(), found)
    output.answer(output_format, value, lambda: _said(found))


def _show(app: App, found: Proposed) -> None:
    from penguinctl import moments, trust_view  # noqa: PLC0415 -- --help stays quick

    when = moments.local(found.proposed_unix_ms, app.now)
    ui.note(f"{found.proposed_by} proposed version {found.document.version}, {when}.")
    ui.note(f"Hash: {found.hash.hex()}")
    ui.note("It would change this:")
    for line in found.changes:
        ui.note(f"  - {line}")
    ui.note(f"Signed by: {output.words(found.signed_by)}")
    trust_view.advise(found.document)


def _said(found: Proposed) -> None:
    from penguinctl.trust_view import next_step  # noqa: PLC0415 -- --help stays quick

    ui.out(f"Version {found.document.version} is signed by {output.words(found.signed_by)}.")
    ui.out(next_step(found))


def _check_compared(found: Proposed, compared: str) -> None:
    start = compared.strip().lower()
    if compared and not (len(start) >= _HASH_PREFIX and found.hash.hex().startswith(start)):
        raise PreconditionFailed(
            f"what is proposed has another hash: {found.hash.hex()}",
            subject=compared,
            code="other-hash",
            remedy=f"Nothing was signed; give {_HASH_PREFIX} digits or more of what you looked at",
        )


@click.command(epilog="\b\nExample:\n  penguinctl trust publish\n")
@output_option
@pass_app
def publish(app: App, output_format: str) -> None:
    """Publish what is proposed, once enough operators signed it.

    It takes no signature of yours. Devices fetch it by themselves.
    """
    from penguinctl import trust_proposals, trust_view  # noqa: PLC0415 -- --help stays quick

    store = refreshed(app)
    found = trust_proposals.required(app.session, store.current(), app.now)
    if not found.standing.complete:
        raise PreconditionFailed(
            f"version {found.document.version} has not signatures enough",
            subject="trust",
            code="not-signed",
            remedy=trust_view.next_step(found),
        )
    _publish(app, store, found)
    value = trust_view.document_json(store.current(), store.pin(), None)
    output.answer(output_format, value, lambda: trust_server.said(app, store.current(), None))
    trust_view.advise(store.current())


def _publish(app: App, store: TrustStore, found: Proposed) -> None:
    from penguinctl import trust_store  # noqa: PLC0415 -- --help stays quick
    from penguindome.trust import accept_next  # noqa: PLC0415 -- as above

    # What devices will check; they shall not be the first who do.
    accept_next(found.current, found.envelope, app.now)
    trust_store.publish(app.session, found.document.version, found.envelope)
    store.keep(found.document.version, found.envelope)


@click.command(epilog='\b\nExample:\n  penguinctl trust withdraw --reason "the wrong key"\n')
@click.option("--reason", required=True, help="Why; it stands in the ledger.")
@output_option
@pass_app
def withdraw(app: App, *, reason: str, output_format: str) -> None:
    """Throw away what is proposed, with the signatures that it has.

    Nothing that was published changes.
    """
    from penguinctl import trust_proposals  # noqa: PLC0415 -- --help stays quick
    from penguindome.trust import document_hash  # noqa: PLC0415 -- as above

    message = trust_proposals.fetch(app.session)
    if message is None:
        raise trust_proposals.nothing_proposed()
    trust_proposals.withdraw(app.session, message, reason)
    digest = document_hash(message.envelope.payload).hex()
    value = {"version": message.version, "hash": digest, "state": "withdrawn"}
    output.answer(
        output_format,
        value,
        lambda: ui.out(f"The proposed version {message.version} is withdrawn."),
    )
