"""penguinctl trust: who may sign what, and until when."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from penguinctl import output, ui
from penguinctl.app import App, pass_app
from penguinctl.exits import NotVerified
from penguinctl.nouns import trust_history, trust_propose, trust_server, trust_sign
from penguinctl.options import passphrase_option, yes_option
from penguinctl.output import output_option
from penguinctl.trust_refresh import refreshed
from penguinctl.watching import watch_option
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from penguinctl.trust_proposals import Proposed
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
    """Show the newest trust document, after verifying it here, and what is proposed.

    It warns where one stolen key is enough, or where nobody may lose theirs.
    """
    from penguinctl import trust_view  # noqa: PLC0415 -- --help stays quick
    from penguinctl.trust_renewal import warn  # noqa: PLC0415 -- as above

    store = refreshed(app)
    document, digest = store.current(), store.pin()
    proposed = _proposed(app, document)

    def human() -> None:
        trust_view.show_document(document, digest, app.now)
        if proposed is not None:
            trust_view.show_proposal(proposed, app.now)

    value = trust_view.document_json(document, digest, proposed)
    output.answer(output_format, value, human)
    warn(document, app.now)
    trust_view.advise(document)


def _proposed(app: App, document: TrustDocument) -> Proposed | None:
    """Return what is proposed; what does not verify is told, as it says nothing of the document."""
    from penguinctl import trust_proposals  # noqa: PLC0415 -- --help stays quick

    try:
        return trust_proposals.find(app.session, document, app.now)
    except NotVerified as error:
        ui.note(ui.Styled("WARNING: ", "bold"), error.text())
        return None


@trust.command(epilog="\b\nExample:\n  penguinctl trust renew\n")
@passphrase_option
@output_option
@pass_app
def renew(app: App, *, passphrase_file: Path | None, output_format: str) -> None:
    """Sign and publish the next version: the same keys and roles, for another year.

    It needs an operator whose signing key has the root role; where that takes several, it becomes a
    proposal for the others to sign. Devices fetch it by themselves; tokens made before stay good.
    """
    from penguindome.trust import renewed  # noqa: PLC0415 -- --help stays quick

    store = refreshed(app)
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

    Where the root role takes several signatures, it becomes a proposal for the others to sign.
    """
    from penguindome.openpgp import key_fingerprint  # noqa: PLC0415 -- --help stays quick
    from penguindome.trust import joined  # noqa: PLC0415 -- as above

    store = refreshed(app)
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

    What the operator may ask of the server ends with `penguinctl operator revoke`. Where the root
    role takes several signatures, or you remove yourself, it becomes a proposal for the others to
    sign. If the key was stolen, propose the removal with --void-before-now instead.
    """
    from penguindome.trust import left  # noqa: PLC0415 -- --help stays quick

    store = refreshed(app)
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
    from penguinctl import trust_view  # noqa: PLC0415 -- --help stays quick

    proposed = trust_server.publish(app, store, following, passphrase_file)
    document = store.current()
    value = trust_view.document_json(document, store.pin(), proposed)
    output.answer(output_format, value, lambda: trust_server.said(app, document, proposed))
    if proposed is None:
        trust_view.advise(document)


trust.add_command(trust_propose.propose)
trust.add_command(trust_sign.sign)
trust.add_command(trust_sign.publish)
trust.add_command(trust_sign.withdraw)
trust.add_command(trust_history.history)
trust.add_command(trust_server.anchors)
trust.add_command(trust_server.addresses)
