"""penguinctl trust anchors and addresses: how devices know the server, and where they find it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from penguinctl import moments, output, ui
from penguinctl.app import App, pass_app
from penguinctl.options import passphrase_option, yes_option
from penguinctl.output import output_option
from penguinctl.trust_refresh import refreshed
from penguindome.errors import PreconditionFailed
from penguindome.times import to_unix_ms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from penguinctl.server_trust import Offered
    from penguinctl.trust_proposals import Proposed
    from penguinctl.trust_store import TrustStore
    from penguindome.trust import TrustDocument


@click.command(
    epilog="""\b
Examples:
  penguinctl trust anchors
  penguinctl trust anchors --add-from-server
  penguinctl trust anchors --add-from-server --yes --fingerprint 3f9a0c11d2e4
  penguinctl trust anchors --remove 90ab12cd34ef
"""
)
@click.option("--add-from-server", is_flag=True, help="Sign the server's new anchors in.")
@click.option("--remove", metavar="FINGERPRINT", default="", help="Sign an old anchor out.")
@click.option(
    "--fingerprint",
    "compared",
    multiple=True,
    metavar="FINGERPRINT",
    help="For --yes: what `penguind ca show` says of the new anchor; its beginning suffices.",
)
@yes_option
@passphrase_option
@output_option
@pass_app
def anchors(
    app: App,
    *,
    add_from_server: bool,
    remove: str,
    compared: tuple[str, ...],
    yes: bool,
    passphrase_file: Path | None,
    output_format: str,
) -> None:
    """Show, add or remove the authorities by which devices know the server.

    After `penguind ca rotate anchor`, --add-from-server fetches the new one, checks that a pinned
    anchor vouches for it, and asks you to compare its fingerprint with what `penguind ca show` says
    on the server. Remove the old one when the server has retired it.
    """
    from penguinctl import server_trust  # noqa: PLC0415 -- --help stays quick
    from penguindome.trust import with_server  # noqa: PLC0415 -- as above

    if add_from_server and remove:
        raise click.UsageError("give --add-from-server or --remove, not both")
    store, found = refreshed(app), server_trust.offered(app)
    document = store.current()
    if not add_from_server and not remove:
        _list(document, found, app, output_format)
        return
    if remove:
        kept = server_trust.without(document, remove, found)
        _confirm_removal(set(document.tls_anchors) - set(kept), yes=yes)
    else:
        new = server_trust.proven(document.tls_anchors, found)
        if not new:
            output.answer(output_format, _json(document, found), lambda: ui.out("Nothing is new."))
            return
        _compare(new, compared, yes=yes)
        kept = [*new, *document.tls_anchors]
    following = with_server(document, app.now, anchors=kept)
    proposed = publish(app, store, following, passphrase_file)
    value = _json(store.current(), found, proposed)
    output.answer(output_format, value, lambda: said(app, store.current(), proposed))


@click.command(
    epilog="""\b
Examples:
  penguinctl trust addresses
  penguinctl trust addresses --set new.example:7443,7444 --set old.example:7443,7444
  penguinctl trust addresses --clear
"""
)
@click.option(
    "--set",
    "places",
    multiple=True,
    metavar="HOST:MAIN,BOOTSTRAP",
    help="Where the server is, the best first; may be repeated.",
)
@click.option("--clear", is_flag=True, help="Name no addresses: devices keep to their token's.")
@passphrase_option
@output_option
@pass_app
def addresses(
    app: App,
    *,
    places: tuple[str, ...],
    clear: bool,
    passphrase_file: Path | None,
    output_format: str,
) -> None:
    """Show or set where devices and operators find the server.

    Devices try the address that worked last, then these in their order, then their token's own; no
    device is left without one. The server's certificate must be for each of the hosts.
    """
    from penguinctl.server_trust import parse_place, written  # noqa: PLC0415 -- --help stays quick
    from penguindome.trust import with_server  # noqa: PLC0415 -- as above

    if places and clear:
        raise click.UsageError("give --set or --clear, not both")
    wanted = [parse_place(text) for text in places]
    store, proposed = refreshed(app), None
    if wanted or clear:
        following = with_server(store.current(), app.now, addresses=wanted)
        proposed = publish(app, store, following, passphrase_file)
    document = store.current()
    rows = [written(one) for one in document.server_addresses]
    value = {
        "version": document.version,
        "addresses": [{"address": one} for one in rows],
        "proposed_version": _proposed_version(proposed),
    }

    def human() -> None:
        for each in rows or ["The trust document names none; devices use their token's."]:
            ui.out(each)
        if wanted or clear:
            said(app, document, proposed)

    output.answer(output_format, value, human)


def publish(
    app: App, store: TrustStore, following: TrustDocument, passphrase_file: Path | None
) -> Proposed | None:
    """Sign the next version, and publish it; return the proposal if it takes more signatures."""
    from penguinctl import signing, trust_renewal  # noqa: PLC0415 -- --help stays quick

    key = signing.own_key(app.profile, passphrase_file)
    return trust_renewal.hand_in(app, store, following, key)


def said(app: App, document: TrustDocument, proposed: Proposed | None) -> None:
    """Say that the newest document is published, or that a further one is only proposed."""
    from penguinctl import trust_view  # noqa: PLC0415 -- --help stays quick

    if proposed is not None:
        ui.out("One signature is not enough, so nothing is published yet.")
        trust_view.show_proposal(proposed, app.now)
        return
    end = moments.local(to_unix_ms(document.expires_time), app.now)
    ui.out(f"Trust document {document.version} is signed and published; it ends {end}.")


def _compare(new: Sequence[bytes], compared: Sequence[str], *, yes: bool) -> None:
    """Have somebody compare each new anchor with what the server's administrator sees."""
    from penguinctl import server_trust  # noqa: PLC0415 -- --help stays quick

    typed = list(compared)
    for one in new:
        ui.note(f"The server's new anchor, vouched for by one of ours: {_described(one)}")
    if not yes:
        ui.note("Run `penguind ca show` on the server, and compare.")
        question = f"The first {server_trust.PREFIX} characters or more, as the server shows them:"
        typed += [ui.ask(question).strip() for _ in new]
    server_trust.check_compared(new, typed)


def _confirm_removal(gone: set[bytes], *, yes: bool) -> None:
    from penguinctl.server_trust import PREFIX, fingerprint  # noqa: PLC0415 -- --help stays quick

    for one in gone:
        ui.note(f"Devices will believe this anchor no more: {_described(one)}")
        if yes:
            continue
        start = fingerprint(one)[:PREFIX]
        if ui.ask(f"To remove it, type {start}:").strip() != start:
            raise PreconditionFailed(
                "what was typed is not the anchor's fingerprint",
                subject=start,
                code="not-confirmed",
                remedy="Nothing was done",
            )


def _described(anchor: bytes) -> str:
    from penguinctl.server_trust import fingerprint  # noqa: PLC0415 -- --help stays quick
    from penguindome import certs  # noqa: PLC0415 -- as above

    facts = certs.parse_certificate(anchor)
    return f"{fingerprint(anchor)}, {facts.subject}, until {facts.not_after:%Y-%m-%d}"


def _list(document: TrustDocument, found: Sequence[Offered], app: App, output_format: str) -> None:
    value = _json(document, found)
    columns = [
        output.Column("fingerprint"),
        output.Column("pinned"),
        output.Column("server's"),
        output.Column("ends"),
    ]
    rows = [
        [
            each["fingerprint"],
            "yes" if each["pinned"] else "no",
            "yes" if each["on_server"] else "no",
            moments.local(to_unix_ms(each.pop("end")), app.now),
        ]
        for each in _rows(document, found)
    ]
    output.answer(output_format, value, lambda: output.table(columns, rows))


def _rows(document: TrustDocument, found: Sequence[Offered]) -> list[dict[str, Any]]:
    from penguinctl.server_trust import fingerprint  # noqa: PLC0415 -- --help stays quick
    from penguindome import certs  # noqa: PLC0415 -- as above

    served = [one.certificate for one in found]
    return [
        {
            "fingerprint": fingerprint(one),
            "pinned": one in document.tls_anchors,
            "on_server": one in served,
            "end": certs.parse_certificate(one).not_after,
        }
        for one in dict.fromkeys((*served, *document.tls_anchors))
    ]


def _json(
    document: TrustDocument, found: Sequence[Offered], proposed: Proposed | None = None
) -> dict[str, Any]:
    rows = _rows(document, found)
    for each in rows:
        each["ends_time"] = moments.iso(to_unix_ms(each.pop("end")))
    return {
        "version": document.version,
        "anchors": rows,
        "proposed_version": _proposed_version(proposed),
    }


def _proposed_version(proposed: Proposed | None) -> int | None:
    return None if proposed is None else proposed.document.version
