"""Releases of this operator: made of folders, signed, uploaded, handed in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from penguinctl import contents, order_render, ordering, release_file, rollout_options, ui, wire
from penguinctl.envelopes import from_message
from penguinctl.exits import NotVerified
from penguinctl.ordering import Draft, Signed
from penguinctl.release_file import ReleaseFile
from penguinctl.release_tree import read_tree
from penguinctl.signing import own_key, sign
from penguinctl.trust_refresh import refreshed
from penguindome.display import printable
from penguindome.envelope import check_signed, signers
from penguindome.errors import Forbidden, InvalidInput
from penguindome.orders.kinds import kind_of
from penguindome.orders.release_body import ReleaseBody, ReleaseSettings, release_body
from penguindome.payload import read_payload
from penguindome.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from penguinctl.app import App
    from penguindome.envelope import Envelope
    from penguindome.v1 import envelope_pb2, order_pb2, release_pb2

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a release has beside the files of its folder, as options say it.

    Attributes:
        shipped: Whether it begins with the plugins of this package.
        label: A word for people.
        collect_interval: How often plugins run; empty leaves it.
        submit_interval: How often changes are handed in; empty leaves it.
        intervals: PLUGIN=DURATION of single plugins.
        disable: Plugins that do not run.
    """

    shipped: bool = False
    label: str = ""
    collect_interval: str = ""
    submit_interval: str = ""
    intervals: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()


def build(folder: Path | None, wishes: Wishes) -> ReleaseFile:
    """Return the release that a folder and settings make.

    Raises:
        InvalidInput: A file or a setting cannot be in a release.
    """
    tree = read_tree(folder, shipped=wishes.shipped)
    for path in tree.skipped[:_SHOWN]:
        ui.note(f"{printable(path)}: left out, as it is no regular file")
    if len(tree.skipped) > _SHOWN:
        ui.note(f"… and {len(tree.skipped) - _SHOWN} more")
    settings = ReleaseSettings(
        collect_interval_seconds=_seconds(wishes.collect_interval),
        submit_interval_seconds=_seconds(wishes.submit_interval),
        plugin_interval_seconds=dict(map(_interval, wishes.intervals)),
        disabled_plugins=tuple(sorted(set(wishes.disable))),
    )
    # As strict as whoever reads it.
    body = release_body(ReleaseBody(wishes.label, tree.entries, settings).to_json())
    return ReleaseFile(body, tree.contents)


def load(path: Path, wishes: Wishes) -> ReleaseFile:
    """Return the release of a folder or a file; wishes are for folders alone.

    Raises:
        InvalidInput: The file is no release, or comes with wishes.
    """
    if path.is_dir():
        return build(path, wishes)
    if wishes != Wishes():
        raise InvalidInput(
            "a release that is built has its settings",
            subject=str(path),
            remedy="Give the folder, or build it again with them",
        )
    return release_file.read(path)


def next_number(app: App) -> int:
    """Return the number of the next release."""
    request = wire.release_pb2.ListReleasesRequest(limit=1)
    found: Sequence[release_pb2.Release] = app.call("release.ListReleases", request).releases
    return found[0].number + 1 if found else 1


def signed(
    app: App,
    body: ReleaseBody,
    *,
    number: int | None,
    ttl: str,
    reason: str,
    passphrase_file: Path | None,
    yes: bool,
) -> Signed:
    """Show a release, sign it, and return it; without a number it is the next one."""
    draft = Draft(
        kind="release",
        body=body.to_json(),
        devices=None,
        ttl=parse_duration(ttl),
        reason=reason,
        number=number or next_number(app),
    )
    return ordering.signed(app, draft, passphrase_file=passphrase_file, yes=yes)


def countersigned(
    app: App, envelope: Envelope, *, passphrase_file: Path | None, yes: bool
) -> Signed:
    """Return a release that others signed with this operator's signature, too.

    Raises:
        Forbidden: This operator's signature does not count, or devices would refuse it.
    """
    kind = kind_of("release")
    trust = refreshed(app).current()
    key = own_key(app.profile, passphrase_file)
    ordering.check_role(trust, kind, key.fingerprint)
    if key.fingerprint not in signers(envelope, trust, kind.role):
        said = read_payload(envelope.payload)
        if ordering.asks(yes=yes):
            order_render.show(kind, said, release_body(said.body), app.now)
            ordering.confirm("Sign this, too?")
        made = sign(key, kind.name, envelope.payload)
        envelope = replace(envelope, signatures=(*envelope.signatures, *made.signatures))
    return Signed(envelope, ordering.opened(app, envelope, trust), trust)


def publish(
    app: App, made: Signed, blobs: Mapping[str, bytes], plan: order_pb2.RolloutPlan
) -> release_pb2.Release:
    """Upload what is missing, and hand a signed release in; returns how it stands."""
    count = contents.upload_missing(app, blobs)
    if count:
        ui.note(f"Uploaded {count:,} of {len(blobs):,} contents.")
    order = ordering.submit(app, made.envelope, plan)
    ordering.tell_missing(order, made)
    return get(app, order.number).release


def get(app: App, number: int) -> release_pb2.GetReleaseResponse:
    """Return a release as the server has it; 0 means the newest that is not withdrawn."""
    request = wire.release_pb2.GetReleaseRequest(number=number)
    response: release_pb2.GetReleaseResponse = app.call("release.GetRelease", request)
    return response


def verified_body(app: App, number: int) -> ReleaseBody:
    """Return what a published release says, after verifying that an operator signed it.

    Raises:
        NotVerified: Nobody whose signature counts today did.
    """
    envelope = from_message(get(app, number).envelope)
    trust = refreshed(app).current()
    try:
        check_signed(envelope, trust, "release", 1)
    except Forbidden as error:
        raise NotVerified(
            f"the release that the server holds is not to be trusted: {error.reason}",
            subject=f"release {number}" if number else "",
            code=error.code,
            remedy="If its signers left meanwhile, publish its folder again",
        ) from None
    return release_body(read_payload(envelope.payload).body)


def manifest_hash(envelope: envelope_pb2.Envelope) -> str:
    """Return the hash of what a release says, as `release build` prints it; "" if unreadable."""
    try:
        body = release_body(read_payload(envelope.payload).body)
    except InvalidInput:
        return ""
    return ReleaseFile(body, {}).manifest_hash


def tell_plan(plan: order_pb2.RolloutPlan) -> None:
    """Say on standard error how a release will reach the fleet, before it is signed."""
    for ring in plan.rings:
        ui.note(f"Ring {printable(ring.name)}: {printable(rollout_options.said(ring))}")
    ui.note("Ring rest: everybody else" if plan.rings else "All devices get it at once.")


def _seconds(text: str) -> int | None:
    return int(parse_duration(text).total_seconds()) if text else None


def _interval(text: str) -> tuple[str, int]:
    name, equals, span = text.partition("=")
    if not equals:
        raise InvalidInput(
            "this is no plugin with an interval", subject=text, remedy="Write PLUGIN=1h"
        )
    return name, int(parse_duration(span).total_seconds())
