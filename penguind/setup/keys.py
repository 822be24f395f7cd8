"""Set-up's keys: three separate authorities and the server's certificate; what exists is kept."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.chain import verify_chain
from penguind.identity.authority import LIFETIMES
from penguind.identity.authority_files import authority_dir, generations, newest, stem
from penguind.identity.rotation import KEY_MODE, authority_name, self_signed
from penguind.identity.server_certificate import is_address, read_anchor_key, server_chain
from penguind.tls import check_dates, checked
from penguindome import certs
from penguindome.durable import make_private_dir, raise_for, read_file, write_file
from penguindome.errors import InvalidInput, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from penguind.identity.authority_files import AuthorityKind

    Say = Callable[[str], None]

_RENEW_BEFORE = timedelta(days=60)
_END = b"-----END CERTIFICATE-----"


def make_authorities(state_dir: Path, fleet: str, now: datetime, say: Say) -> None:
    """Make the device and operator authorities unless they exist.

    One that ends soon gets a new certificate for the same key, so that all certificates that it
    issued stay good.
    """
    make_private_dir(authority_dir(state_dir))
    for kind in LIFETIMES:
        _make_authority(state_dir, kind, fleet, now, say)


def make_server_certificate(
    state_dir: Path, fleet: str, names: Sequence[str], now: datetime, say: Say
) -> None:
    """Make the anchor and the server's certificate unless good ones exist."""
    make_private_dir(authority_dir(state_dir))
    _make_authority(state_dir, "anchor", fleet, now, say)
    tls = state_dir / "tls"
    make_private_dir(tls)
    certificate, key = tls / "server.pem", tls / "server-key.pem"
    anchor = newest(state_dir, "anchor").certificate
    if certificate.exists() and key.exists() and _good(certificate, key, anchor, names, now):
        say(f"The server's certificate is kept: {certificate}")
        return
    key_pem = certs.generate_key()
    chain = server_chain(state_dir, key_pem, names, now, read_anchor_key(state_dir))
    write_file(key, key_pem, 0o600)
    write_file(certificate, chain, 0o644)
    say(f"The server's certificate for {', '.join(names)} is new: {certificate}")


def adopt_certificate(
    state_dir: Path, certificate: Path, key: Path, *, host: str, now: datetime, say: Say
) -> None:
    """Take a certificate of the administrator's; its file ends with the authority to trust.

    Raises:
        PreconditionFailed: it would not be accepted by devices; says why.
    """
    path = authority_dir(state_dir) / "anchor.pem"
    make_private_dir(path.parent)
    known = read_file(path) if path.exists() else None
    anchor = check_own(certificate, key, host=host, now=now, anchor=known)
    if known is None:
        write_file(path, anchor, 0o644)
    say(f"Your certificate is used where it is: {certificate}")


def check_own(
    certificate: Path, key: Path, *, host: str, now: datetime, anchor: bytes | None = None
) -> bytes:
    """Check a certificate of the administrator's, and return the authority that devices trust.

    Raises:
        PreconditionFailed: it would not be accepted by devices; says why.
    """
    chain = _read(certificate)
    pair = checked(chain, _read(key), subject=str(certificate))
    check_dates(pair, now, subject=str(certificate))
    anchor = anchor or _last(chain)
    if not certs.parse_certificate(anchor).is_ca:
        raise PreconditionFailed(
            "the file does not end with the certificate of the authority that issued it",
            code="no-anchor",
            subject=str(certificate),
            remedy="append the authority's certificate, which devices shall trust",
        )
    verify_chain(certificate, key, anchor, host)
    return anchor


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise_for(error, path)


def _make_authority(
    state_dir: Path, kind: AuthorityKind, fleet: str, now: datetime, say: Say
) -> None:
    """Make the first of a kind, or renew the newest; what was interrupted goes on."""
    folder = authority_dir(state_dir)
    newest_one = next(iter(generations(state_dir, kind)), None)
    number = newest_one.number if newest_one else 1
    certificate = folder / f"{stem(kind, number)}.pem"
    key = folder / f"{stem(kind, number)}-key.pem"
    if newest_one is not None:
        _check_key(key, optional=kind == "anchor")
        # The anchor stands in tokens and on devices, byte for byte.
        if kind == "anchor" or _lasting(certificate, now):
            say(f"Kept: {certificate}")
            return
    # One that was interrupted leaves a key: it is used, since no key is ever overwritten.
    key_pem = read_file(key) if key.exists() else certs.generate_key()
    pem = self_signed(kind, authority_name(kind, fleet, number), key_pem, now)
    if not key.exists():
        write_file(key, key_pem, KEY_MODE)
    write_file(certificate, pem, 0o644)
    say(f"Made: {certificate}")


def _lasting(certificate: Path, now: datetime) -> bool:
    return certs.parse_certificate(read_file(certificate)).not_after - now > _RENEW_BEFORE


def _normal(name: str) -> str:
    """Return an address as certificates spell it, any other name as it is."""
    return str(ipaddress.ip_address(name)) if is_address(name) else name


def _check_key(key: Path, *, optional: bool) -> None:
    """Check that an authority's key is there; the anchor's may be elsewhere.

    Raises:
        PreconditionFailed: it is not.
    """
    if optional or key.exists():
        return
    raise PreconditionFailed(
        "the authority's key is missing, and a new one would not be known to the fleet",
        code="authority-missing",
        subject=str(key),
        remedy="restore the state folder from a backup",
    )


def _good(certificate: Path, key: Path, anchor: bytes, names: Sequence[str], now: datetime) -> bool:
    """Tell whether the server's certificate may stay."""
    pem = read_file(certificate)
    try:
        facts = certs.parse_certificate(pem)
        belongs = certs.key_spki(read_file(key)) == facts.spki
    except InvalidInput:
        return False
    known = {*facts.dns_names, *facts.ip_addresses}
    lasting = facts.not_after - now > _RENEW_BEFORE
    return (
        belongs and lasting and set(map(_normal, names)) <= known and certs.signed_by(pem, anchor)
    )


def _last(chain: bytes) -> bytes:
    parts = [part for part in chain.split(_END) if b"-----BEGIN CERTIFICATE-----" in part]
    return parts[-1].lstrip() + _END + b"\n"
