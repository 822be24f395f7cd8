"""What `penguind ca` does: new authorities and old ones, on the server, by its administrator.

A running server takes what changed over by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.console import CONSOLE, console_database
from penguind.identity import rotation
from penguind.identity.authority_files import (
    KINDS,
    certificate_fingerprint,
    generations,
    newest,
)
from penguind.identity.server_certificate import (
    own_pairs,
    read_anchor_key,
    renew_server_certificates,
    rewrite_chains,
)
from penguind.ledger import Ledger
from penguind.store.all import open_stores
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from penguind.config import Settings
    from penguind.identity.authority_files import AuthorityKind, Generation
    from penguindome.times import Clock


@dataclass(frozen=True, slots=True)
class Described:
    """One authority, for people; needed_until: None while it is the newest of its kind."""

    kind: AuthorityKind
    fingerprint: str
    starts_time: datetime
    ends_time: datetime
    has_key: bool
    needed_until: datetime | None


def describe(settings: Settings) -> list[Described]:
    """Return all authorities, by kind, the newest first."""
    state_dir = settings.server.state_dir
    return [
        Described(
            kind=kind,
            fingerprint=one.fingerprint,
            starts_time=one.facts.not_before,
            ends_time=one.facts.not_after,
            has_key=one.key_path.exists(),
            needed_until=rotation.needed_until(state_dir, one),
        )
        for kind in KINDS
        for one in generations(state_dir, kind)
    ]


async def rotate(
    settings: Settings, kind: AuthorityKind, clock: Clock, anchor_key: bytes = b""
) -> Generation:
    """Make a new authority the one that issues; for the anchor, renew the server's certificates.

    Raises:
        PreconditionFailed: the anchor is not penguind's, or its key is elsewhere.
    """
    state_dir, now = settings.server.state_dir, clock()
    anchor = kind == "anchor"
    if anchor:
        _check_own(settings)
        read_anchor_key(state_dir, anchor_key)
    key, pem = rotation.next_authority(state_dir, settings.server.fleet_id, kind, now)
    cross = rotation.cross_certificate(state_dir, pem, now, anchor_key) if anchor else b""
    await _note(settings, "authority.rotate", f"{kind}/{certificate_fingerprint(pem)}", clock)
    made = rotation.install(state_dir, kind, key, pem, cross)
    if anchor:
        renew_server_certificates(state_dir, _pairs(settings), now, key, due=False)
    return made


async def retire(
    settings: Settings, kind: AuthorityKind, fingerprint: str, clock: Clock, *, force: bool
) -> Generation:
    """Remove a former authority.

    Raises:
        NotFound: there is no such authority.
        PreconditionFailed: somebody may still depend on it; says until when.
    """
    state_dir = settings.server.state_dir
    one = rotation.find(state_dir, kind, fingerprint)
    rotation.check_retirable(state_dir, one, clock(), force=force)
    await _note(settings, "authority.retire", f"{kind}/{one.fingerprint}", clock)
    rotation.retire(state_dir, one)
    if kind == "anchor":
        rewrite_chains(state_dir, _pairs(settings))
    return one


async def renew(settings: Settings, clock: Clock, anchor_key: bytes = b"") -> list[Path]:
    """Renew the server's own certificates, for the same names; returns their files.

    Raises:
        PreconditionFailed: they are not penguind's, or the anchor's key is elsewhere.
    """
    state_dir = settings.server.state_dir
    _check_own(settings)
    key = read_anchor_key(state_dir, anchor_key)
    await _note(settings, "server-certificate.renew", "server", clock)
    return renew_server_certificates(state_dir, _pairs(settings), clock(), key, due=False)


def _pairs(settings: Settings) -> list[tuple[Path, Path]]:
    return [(one.certificate, one.key) for one in settings.listeners]


def _check_own(settings: Settings) -> None:
    state_dir = settings.server.state_dir
    if own_pairs(state_dir, _pairs(settings)):
        return
    raise PreconditionFailed(
        "the server's certificate is your own, and so is the authority that devices trust",
        code="own-certificate",
        subject=str(newest(state_dir, "anchor").path),
        remedy="renew it where it comes from, with the same authority at the end of its file",
    )


async def _note(settings: Settings, action: str, target: str, clock: Clock) -> None:
    async with console_database(settings) as database:
        stores = await open_stores(database, settings.server.fleet_id)
        await Ledger(stores.ledger, clock).append(CONSOLE, action, target, {})
