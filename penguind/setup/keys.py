"""Set-up's keys: three separate authorities and the server's certificate; what exists is kept."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.chain import verify_chain
from penguind.identity.authority import BACKDATE, authority_dir
from penguind.tls import check_dates, checked
from penguindome import certs
from penguindome.durable import make_private_dir, raise_for, read_file, write_file
from penguindome.errors import InvalidInput, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    Say = Callable[[str], None]

ANCHOR_LIFETIME = timedelta(days=3652)
CA_LIFETIME = timedelta(days=730)
# Browsers and Apple's TLS refuse more; https://support.apple.com/102028.
SERVER_LIFETIME = timedelta(days=397)
_RENEW_BEFORE = timedelta(days=60)
_KEY_MODE = 0o400
_END = b"-----END CERTIFICATE-----"


def make_authorities(state_dir: Path, fleet: str, now: datetime, say: Say) -> None:
    """Make the device and operator authorities unless they exist.

    One that ends soon gets a new certificate for the same key, so that all certificates that it
    issued stay good.
    """
    folder = authority_dir(state_dir)
    make_private_dir(folder)
    for kind in ("device", "operator"):
        name = f"PenguinDome {kind} authority {fleet[:8]}"
        _make_authority(
            folder,
            f"{kind}-ca",
            name=name,
            now=now,
            lifetime=CA_LIFETIME,
            path_length=0,
            say=say,
        )


def make_server_certificate(
    state_dir: Path, fleet: str, names: Sequence[str], now: datetime, say: Say
) -> None:
    """Make the anchor and the server's certificate unless good ones exist."""
    folder = authority_dir(state_dir)
    make_private_dir(folder)
    anchor_name = f"PenguinDome server anchor {fleet[:8]}"
    _make_authority(
        folder,
        "anchor",
        name=anchor_name,
        now=now,
        lifetime=ANCHOR_LIFETIME,
        path_length=None,
        say=say,
    )
    tls = state_dir / "tls"
    make_private_dir(tls)
    certificate, key = tls / "server.pem", tls / "server-key.pem"
    anchor = read_file(folder / "anchor.pem")
    if certificate.exists() and key.exists() and _good(certificate, key, anchor, names, now):
        say(f"The server's certificate is kept: {certificate}")
        return
    key_pem, pem = _issue(folder, anchor, names, now)
    write_file(key, key_pem, 0o600)
    write_file(certificate, pem, 0o644)
    say(f"The server's certificate for {', '.join(names)} is new: {certificate}")


def _issue(folder: Path, anchor: bytes, names: Sequence[str], now: datetime) -> tuple[bytes, bytes]:
    """Return a fresh key and its certificate by the anchor.

    Raises:
        PreconditionFailed: the anchor's key is elsewhere.
    """
    path = folder / "anchor-key.pem"
    if not path.exists():
        raise PreconditionFailed(
            "a new server certificate is needed, and the anchor's key is not on this machine",
            code="anchor-key-missing",
            subject=str(path),
            remedy="bring the key back for as long as set-up runs",
        )
    key_pem = certs.generate_key()
    return key_pem, certs.issue(
        authority_pem=anchor,
        authority_key_pem=read_file(path),
        spki=certs.key_spki(key_pem),
        dns_names=[name for name in names if not is_address(name)],
        ip_addresses=[name for name in names if is_address(name)],
        client=False,
        not_before=now - BACKDATE,
        not_after=now + SERVER_LIFETIME,
    )


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


def is_address(name: str) -> bool:
    """Tell whether a name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _make_authority(
    folder: Path,
    stem: str,
    *,
    name: str,
    now: datetime,
    lifetime: timedelta,
    path_length: int | None,
    say: Say,
) -> None:
    certificate, key = folder / f"{stem}.pem", folder / f"{stem}-key.pem"
    if certificate.exists():
        _check_key(key, optional=path_length is None)
        # The anchor stands in tokens and on devices, byte for byte.
        if path_length is None or _lasting(certificate, now):
            say(f"Kept: {certificate}")
            return
    # One that was interrupted leaves a key: it is used, since no key is ever overwritten.
    key_pem = read_file(key) if key.exists() else certs.generate_key()
    pem = certs.make_authority(
        name,
        key_pem=key_pem,
        now=now - BACKDATE,
        lifetime=lifetime,
        path_length=path_length,
        client_auth_only=path_length is not None,
    )
    if not key.exists():
        write_file(key, key_pem, _KEY_MODE)
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
