"""Replacing authorities, with overlap: a new one issues, the former ones are accepted on.

Device and operator authorities are known to the server alone, so penguind replaces them by itself.
The anchor is known to devices and operators, so an operator signs the new one into the trust
document; until everybody has heard of it, the old anchor vouches for the new one.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.identity.authority import BACKDATE, LIFETIMES
from penguind.identity.authority_files import (
    AuthorityKind,
    Generation,
    alone,
    authority_dir,
    generations,
    newest,
)
from penguind.identity.server_certificate import read_anchor_key
from penguindome import certs
from penguindome.durable import remove_file, write_file
from penguindome.errors import InvalidInput, NotFound, PreconditionFailed

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

ANCHOR_LIFETIME = timedelta(days=3652)
CA_LIFETIME = timedelta(days=730)
# As long as a device may be away and still come back without an operator.
ANCHOR_OVERLAP = timedelta(days=400)
KEY_MODE = 0o400
_SPARE = timedelta(days=1)
_PREFIX = 8


def authority_name(kind: AuthorityKind, fleet: str, number: int) -> str:
    """Return what stands in an authority's certificate, for people."""
    title = "server anchor" if kind == "anchor" else f"{kind} authority"
    return f"PenguinDome {title} {fleet[:8]}" + (f" {number}" if number > 1 else "")


def self_signed(kind: AuthorityKind, name: str, key_pem: bytes, now: datetime) -> bytes:
    """Return an authority's own certificate, PEM."""
    anchor = kind == "anchor"
    return certs.make_authority(
        name,
        key_pem=key_pem,
        now=now - BACKDATE,
        lifetime=ANCHOR_LIFETIME if anchor else CA_LIFETIME,
        path_length=None if anchor else 0,
        client_auth_only=not anchor,
    )


def next_authority(
    state_dir: Path, fleet: str, kind: AuthorityKind, now: datetime
) -> tuple[bytes, bytes]:
    """Return the key and the certificate of the authority that comes next; nothing is written."""
    key = certs.generate_key()
    name = authority_name(kind, fleet, newest(state_dir, kind).number + 1)
    return key, self_signed(kind, name, key, now)


def install(
    state_dir: Path, kind: AuthorityKind, key: bytes, certificate: bytes, cross: bytes = b""
) -> Generation:
    """Write a new authority, from now on the newest, and delete the former one's key.

    The order makes it safe: the certificate, with which it counts, comes after what it needs.
    """
    with alone(state_dir):
        number = newest(state_dir, kind).number + 1
        made = Generation(kind, number, authority_dir(state_dir), certificate)
        remove_file(made.key_path)  # of one that was interrupted; nobody knows it
        write_file(made.key_path, key, KEY_MODE)
        if cross:
            write_file(made.cross_path, cross, 0o644)
        write_file(made.path, certificate, 0o644)
        _drop_former_keys(state_dir, kind)
        return made


def cross_certificate(
    state_dir: Path, certificate: bytes, now: datetime, anchor_key: bytes = b""
) -> bytes:
    """Return a coming anchor's key and name, signed by the newest one.

    Raises:
        PreconditionFailed: the newest anchor's key is elsewhere.
    """
    former = newest(state_dir, "anchor")
    return certs.cross_sign(
        certificate,
        authority_pem=former.certificate,
        authority_key_pem=read_anchor_key(state_dir, anchor_key),
        not_before=now - BACKDATE,
        not_after=min(former.facts.not_after, certs.parse_certificate(certificate).not_after),
    )


def needed_until(state_dir: Path, one: Generation) -> datetime | None:
    """Return until when somebody may depend on an authority; None for the newest of its kind."""
    younger = [each for each in generations(state_dir, one.kind) if each.number > one.number]
    if not younger:
        return None
    replaced = younger[-1].facts.not_before + BACKDATE
    overlap = ANCHOR_OVERLAP if one.kind == "anchor" else LIFETIMES[one.kind] + _SPARE
    return min(replaced + overlap, one.facts.not_after)


def find(state_dir: Path, kind: AuthorityKind, fingerprint: str) -> Generation:
    """Return the authority with a fingerprint, or with the only one that begins so.

    Raises:
        InvalidInput: fewer than eight characters.
        NotFound: there is none, or there are several.
    """
    wanted = fingerprint.lower().replace(":", "")
    if len(wanted) < _PREFIX:
        raise InvalidInput(f"give {_PREFIX} characters at least", subject=fingerprint[:64])
    found = [one for one in generations(state_dir, kind) if one.fingerprint.startswith(wanted)]
    if len(found) != 1:
        raise NotFound(
            f"there is no such {kind} authority",
            subject=fingerprint[:64],
            remedy="penguind ca show lists them",
        )
    return found[0]


def check_retirable(state_dir: Path, one: Generation, now: datetime, *, force: bool) -> None:
    """Check that nobody needs an authority any more.

    Raises:
        PreconditionFailed: it issues, or may be needed; says until when.
    """
    end = needed_until(state_dir, one)
    remedy = ""
    if end is None:
        reason = "it is the one that issues"
        remedy = f"run penguind ca rotate {one.kind} first"
    elif one.kind == "anchor" and _has_older(state_dir, one):
        reason = "an older anchor is not retired yet, and is vouched through it"
        remedy = "retire the oldest one first"
    elif now < end and not force:
        needed = "devices may know no other" if one.kind == "anchor" else "what it signed is valid"
        reason = f"{needed} until {end:%Y-%m-%d}"
        remedy = "wait until then; if its key was stolen, give --force"
    else:
        return
    raise PreconditionFailed(
        f"this {one.kind} authority is not retired: {reason}",
        code="authority-needed",
        subject=one.fingerprint[:16],
        remedy=remedy,
    )


def retire(state_dir: Path, one: Generation) -> None:
    """Remove an authority's files; what it signed is accepted no more."""
    with alone(state_dir):
        if one.kind == "anchor":
            for each in generations(state_dir, "anchor"):
                if each.number == one.number + 1:
                    remove_file(each.cross_path)
        for path in (one.key_path, one.path, one.cross_path):
            remove_file(path)


def tidy(state_dir: Path, now: datetime) -> list[Generation]:
    """Remove former issuers that have ended, and keys that issue no more; returns the former."""
    ended = []
    for kind in LIFETIMES:
        _drop_former_keys(state_dir, kind)
        for one in generations(state_dir, kind)[1:]:
            if one.facts.not_after < now:
                retire(state_dir, one)
                ended.append(one)
    return ended


def _has_older(state_dir: Path, one: Generation) -> bool:
    return any(each.number < one.number for each in generations(state_dir, one.kind))


def _drop_former_keys(state_dir: Path, kind: AuthorityKind) -> None:
    for one in generations(state_dir, kind)[1:]:
        if one.key_path.exists():
            remove_file(one.key_path)
