"""Say in words what a version of the trust document changes: everything, or the reader is told.

People sign what they were shown; so nothing that changes may be missing here.
"""

from __future__ import annotations

import hashlib
from itertools import chain
from typing import TYPE_CHECKING

from penguindome.errors import InvalidInput
from penguindome.trust_document import ROLES, TrustDocument, from_payload, to_payload

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from penguindome.trust_document import SecretKey, ServerAddress


def check_wholly_known(payload: bytes) -> None:
    """Refuse a payload that says more than this program can show.

    Raises:
        InvalidInput: It is malformed, or not what this program would have written.
    """
    if to_payload(from_payload(payload)) != payload:
        raise InvalidInput(
            "the trust document says something that this version cannot show",
            code="not-wholly-known",
            remedy="Update this program before you sign it",
        )


def difference(old: TrustDocument, new: TrustDocument) -> list[str]:
    """Return what changes from one version to the next, a sentence each; never empty.

    Who may sign what comes first, then what devices know of the server, then times. The order of
    keys within a role means nothing.
    """
    said = chain(
        _people(old, new),
        _roles(old, new),
        _voided(old, new),
        _anchors(old, new),
        _listed("server name", old.server_names, new.server_names),
        _listed("address", *(tuple(map(_place, one.server_addresses)) for one in (old, new))),
        _secret_keys(old.secret_keys, new.secret_keys),
        _rest(old, new),
    )
    return list(said)


def _people(old: TrustDocument, new: TrustDocument) -> Iterator[str]:
    before = {name: one for one, name in old.operators.items()}
    after = {name: one for one, name in new.operators.items()}
    for name in sorted(after.keys() - before.keys()):
        yield f"{name} joins, with the key {after[name]}."
    for name in sorted(before.keys() - after.keys()):
        yield f"{name} leaves; the key {before[name]} counts no more under that name."
    for name in sorted(before.keys() & after.keys()):
        if before[name] != after[name]:
            yield f"{name} has another key: {after[name]} instead of {before[name]}."
        elif old.keys[before[name]] != new.keys[after[name]]:
            yield f"{name} has the same key {after[name]}, exported anew (its end may have moved)."


def _roles(old: TrustDocument, new: TrustDocument) -> Iterator[str]:
    for role in (*ROLES, *sorted((old.roles.keys() | new.roles.keys()) - set(ROLES))):
        before, after = _holders(old, role), _holders(new, role)
        if gained := sorted(after - before):
            yield f"Role {role}: {', '.join(gained)} may sign."
        if lost := sorted(before - after):
            yield f"Role {role}: {', '.join(lost)} may sign no more."
        was, now = _threshold(old, role), _threshold(new, role)
        if was != now:
            yield f"Role {role}: {_many(now)} instead of {_many(was)}."


def _holders(document: TrustDocument, role: str) -> set[str]:
    held = document.roles.get(role)
    return {document.operators[one] for one in held.fingerprints} if held else set()


def _threshold(document: TrustDocument, role: str) -> int:
    held = document.roles.get(role)
    return held.threshold if held else 0


def _many(number: int) -> str:
    if number == 0:
        return "nobody can act"
    return "1 signature" if number == 1 else f"{number} signatures"


def _voided(old: TrustDocument, new: TrustDocument) -> Iterator[str]:
    if old.ticket_floor_time != new.ticket_floor_time:
        floor = new.ticket_floor_time
        yield f"VOID: everything that was signed before {floor:%Y-%m-%d %H:%M:%S} UTC."


def _anchors(old: TrustDocument, new: TrustDocument) -> Iterator[str]:
    fingerprints = [
        tuple(hashlib.sha256(one).hexdigest() for one in document.tls_anchors)
        for document in (old, new)
    ]
    return _listed("TLS anchor", *fingerprints)


def _listed(what: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    for each in new:
        if each not in old:
            yield f"A new {what}: {each}."
    for each in old:
        if each not in new:
            yield f"No {what} any more: {each}."
    if sorted(old) == sorted(new) and list(old) != list(new):
        yield f"Another order: {what} {', '.join(new)}."
    elif set(old) == set(new) and list(old) != list(new):
        yield f"Repeated otherwise: {what} {', '.join(new)}."


def _place(address: ServerAddress) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.main_port},{address.bootstrap_port}"


def _secret_keys(old: Sequence[SecretKey], new: Sequence[SecretKey]) -> Iterator[str]:
    return _listed("secret-keeping key", *(tuple(map(_secret_key, each)) for each in (old, new)))


def _secret_key(key: SecretKey) -> str:
    digest = hashlib.sha256(key.public_key).hexdigest()
    return f"{key.kid} (public key {digest}, wrapped {key.wrapped_hash})"


def _rest(old: TrustDocument, new: TrustDocument) -> Iterator[str]:
    if old.fleet != new.fleet:
        yield f"It is another fleet's: {new.fleet} instead of {old.fleet}."
    if old.minimum_agent != new.minimum_agent:
        oldest = new.minimum_agent or "any"
        yield f"The oldest agent that may act: {oldest} instead of {old.minimum_agent or 'any'}."
    if old.expires_time != new.expires_time:
        ends = f"{new.expires_time:%Y-%m-%d %H:%M:%S}"
        yield f"It ends on {ends} UTC instead of {old.expires_time:%Y-%m-%d %H:%M:%S}."
    if old.issued_time != new.issued_time:
        yield f"It was written on {new.issued_time:%Y-%m-%d %H:%M:%S} UTC."
    yield f"It is version {new.version} instead of {old.version}."
