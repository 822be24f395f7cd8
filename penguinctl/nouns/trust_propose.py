"""penguinctl trust propose: several changes of the trust document as one, for others to sign."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from penguinctl import output, ui
from penguinctl.app import App, pass_app
from penguinctl.options import passphrase_option, yes_option
from penguinctl.output import output_option
from penguinctl.trust_refresh import refreshed
from penguindome.errors import InvalidInput, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from penguinctl.trust_proposals import Proposed
    from penguinctl.trust_store import TrustStore
    from penguindome.trust import TrustDocument

_KEY_LIMIT_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Wish:
    """What shall change; pairs are in the order in which they were given.

    Attributes:
        replaced: Names and files of new keys.
        added: The same of new operators.
        granted: Roles and names.
        denied: The same.
        removed: Names.
        thresholds: Roles and numbers.
        recommended: Whether thresholds that are lower than recommended are raised.
        voids: Whether everything that was signed before counts no more.
        renews: Whether nothing but the year need change.
    """

    replaced: tuple[tuple[str, str], ...]
    added: tuple[tuple[str, str], ...]
    granted: tuple[tuple[str, str], ...]
    denied: tuple[tuple[str, str], ...]
    removed: tuple[str, ...]
    thresholds: tuple[tuple[str, str], ...]
    recommended: bool
    voids: bool
    renews: bool

    def empty(self) -> bool:
        """Tell whether nothing was asked for."""
        named = (self.replaced, self.added, self.granted, self.denied, self.removed)
        return not any((*named, self.thresholds, self.recommended, self.voids, self.renews))


def _pair(
    context: click.Context, parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[tuple[str, str], ...]:
    del context
    found = []
    for text in values:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"{text}: write {parameter.metavar}", param=parameter)
        found.append((name, value))
    return tuple(found)


def _pairs(option: str, name: str, metavar: str, text: str) -> Callable[..., Any]:
    return click.option(
        option, name, multiple=True, metavar=metavar, callback=_pair, help=f"{text}; repeatable."
    )


@click.command(
    epilog="""\b
Examples:
  penguinctl trust propose --add bob=bob.gpg --add carol=carol.gpg --recommended
  penguinctl trust propose --replace-key bob=bob-new.gpg
  penguinctl trust propose --remove mallory --void-before-now
  penguinctl trust propose --threshold wipe=2 --deny release=bob --grant shell=carol
  penguinctl trust propose --renew
"""
)
@_pairs("--add", "added", "NAME=KEYFILE", "A further operator, in every role")
@click.option("--remove", "removed", multiple=True, metavar="NAME", help="One less; repeatable.")
@_pairs("--replace-key", "replaced", "NAME=KEYFILE", "Another key for an operator, in their roles")
@_pairs("--threshold", "thresholds", "ROLE=N", "How many signatures a role needs")
@_pairs("--grant", "granted", "ROLE=NAME", "A role more for an operator")
@_pairs("--deny", "denied", "ROLE=NAME", "A role less for an operator")
@click.option(
    "--void-before-now",
    "voids",
    is_flag=True,
    help="Whatever anybody signed until now counts no more: for a stolen key.",
)
@click.option("--renew", "renews", is_flag=True, help="Nothing but another year.")
@click.option("--recommended", is_flag=True, help="Raise thresholds to what is recommended.")
@click.option("--replace", is_flag=True, help="Push aside what is proposed now.")
@yes_option
@passphrase_option
@output_option
@pass_app
def propose(
    app: App,
    /,
    *,
    replace: bool,
    yes: bool,
    passphrase_file: Path | None,
    output_format: str,
    **wished: Any,
) -> None:
    """Propose the next version of the trust document, signed by you, for others to sign.

    All options together make one version. Each version lasts a year from now. The others see with
    `penguinctl trust show` what changes, and sign with `penguinctl trust sign`; then anyone of you
    publishes it. Nothing changes for devices before.
    """
    from penguinctl import signing, trust_proposals, trust_renewal  # noqa: PLC0415 -- --help stays quick
    from penguinctl.trust_renewal import check_root  # noqa: PLC0415 -- as above

    wish = Wish(**wished)
    if wish.empty():
        raise click.UsageError("say what shall change; --renew for nothing but another year")
    store = refreshed(app)
    following = drafted(wish, store.current(), app)
    key = signing.own_key(app.profile, passphrase_file)
    check_root(store.current(), following, key.fingerprint)
    if not replace:
        trust_renewal.check_place(app, store)
    _confirm(store.current(), following, yes=yes)
    envelope = trust_renewal.signed(store.current(), following, key)
    found = trust_proposals.propose(app.session, store.pin(), store.current(), envelope, app.now)
    _answer(app, store, found, output_format)


def drafted(wish: Wish, current: TrustDocument, app: App) -> TrustDocument:
    """Return the next version as it was wished for.

    Raises:
        InvalidInput: A key, a role or a number is none.
        NotFound: There is no such operator.
        AlreadyExists: An operator or a key is in it already.
        PreconditionFailed: A role could not reach its threshold.
    """
    from penguindome import trust_changes as change  # noqa: PLC0415 -- --help stays quick
    from penguindome.trust_thresholds import checked  # noqa: PLC0415 -- as above

    draft = change.renewed(current, app.now)
    for name, path in wish.replaced:
        draft = change.with_key(draft, name, _key(name, path))
    for name, path in wish.added:
        draft = change.with_operator(draft, name, _key(name, path))
    for role, name in wish.granted:
        draft = change.granted(draft, role, name)
    for role, name in wish.denied:
        draft = change.denied(draft, role, name)
    for name in wish.removed:
        draft = change.without_operator(draft, name)
    for role, number in wish.thresholds:
        draft = change.with_threshold(draft, role, _number(role, number))
    draft = change.recommended(draft) if wish.recommended else draft
    return checked(change.floored(draft, app.now) if wish.voids else draft)


def _key(name: str, path: str) -> bytes:
    from penguindome.openpgp import key_fingerprint  # noqa: PLC0415 -- --help stays quick

    try:
        with Path(path).open("rb") as file:
            data = file.read(_KEY_LIMIT_BYTES)
    except OSError as error:
        raise InvalidInput(
            f"the key cannot be read: {error.strerror}",
            subject=path,
            remedy="Give the file that `gpg --export --export-options export-minimal` wrote",
        ) from error
    ui.note(f"The key of {name}: {key_fingerprint(data)}")
    return data


def _number(role: str, text: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > len("100"):
        raise InvalidInput(
            "this is no number of signatures", subject=f"{role}={text}", remedy="Give e.g. wipe=2"
        )
    return int(text)


def _confirm(current: TrustDocument, following: TrustDocument, *, yes: bool) -> None:
    from penguinctl import trust_view  # noqa: PLC0415 -- --help stays quick
    from penguindome.trust_difference import difference  # noqa: PLC0415 -- as above

    ui.note(f"Version {following.version} would change this:")
    for line in difference(current, following):
        ui.note(f"  - {line}")
    trust_view.advise(following)
    if not yes:
        confirm(f"To sign and propose it, type {following.version}:", str(following.version))


def confirm(question: str, wanted: str) -> None:
    """Ask, and go on only if what is typed is right.

    Raises:
        PreconditionFailed: It is something else.
    """
    if ui.ask(question) != wanted:
        raise PreconditionFailed(
            f"what was typed is not {wanted}", code="not-confirmed", remedy="Nothing was done"
        )


def _answer(app: App, store: TrustStore, found: Proposed, output_format: str) -> None:
    from penguinctl import trust_view  # noqa: PLC0415 -- --help stays quick

    value: Mapping[str, Any] = trust_view.document_json(store.current(), store.pin(), found)
    output.answer(output_format, value, lambda: trust_view.show_proposal(found, app.now))
