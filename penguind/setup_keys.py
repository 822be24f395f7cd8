"""Set-up's keys: three separate authorities and the server's certificate; what exists is kept."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.authority import BACKDATE, authority_dir
from penguind.tls import check_dates, checked
from penguindome import certs
from penguindome.durable import make_private_dir, read_file, write_file
from penguindome.errors import PreconditionFailed

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
    """Make the device and operator authorities unless they exist."""
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
    if certificate.exists() and key.exists() and _good(certificate, anchor, names, now):
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
    chain = certificate.read_bytes()
    pair = checked(chain, key.read_bytes(), subject=str(certificate))
    check_dates(pair, now, subject=str(certificate))
    path = authority_dir(state_dir) / "anchor.pem"
    make_private_dir(path.parent)
    anchor = read_file(path) if path.exists() else _last(chain)
    if not certs.parse_certificate(anchor).is_ca:
        raise PreconditionFailed(
            "the file does not end with the certificate of the authority that issued it",
            code="no-anchor",
            subject=str(certificate),
            remedy="append the authority's certificate, which devices shall trust",
        )
    verify_chain(certificate, key, anchor, host)
    if not path.exists():
        write_file(path, anchor, 0o644)
    say(f"Your certificate is used where it is: {certificate}")


def verify_chain(certificate: Path, key: Path, anchor: bytes, host: str) -> None:
    """Do a TLS handshake in memory, as a device would.

    Raises:
        PreconditionFailed: with the reason that the handshake gives.
    """
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        server.load_cert_chain(certificate, key)
        client.load_verify_locations(cadata=anchor.decode())
        near = client.wrap_bio(down, up, server_hostname=host)
        far = server.wrap_bio(up, down, server_side=True)
        for side in (near, far, near):
            _step(side)
    except ssl.SSLError as error:
        reason = getattr(error, "verify_message", "") or error.reason or str(error)
        raise PreconditionFailed(
            f"devices would not accept the certificate for {host}: {reason}",
            code="bad-certificate",
            subject=str(certificate),
            remedy="its names must include the advertised host, and its file the whole chain",
        ) from error


def is_address(name: str) -> bool:
    """Tell whether a name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _step(side: ssl.SSLObject) -> None:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return


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
        say(f"Kept: {certificate}")
        return
    key_pem = certs.generate_key()
    pem = certs.make_authority(
        name,
        key_pem=key_pem,
        now=now - BACKDATE,
        lifetime=lifetime,
        path_length=path_length,
        client_auth_only=path_length is not None,
    )
    write_file(key, key_pem, _KEY_MODE)
    write_file(certificate, pem, 0o644)
    say(f"Made: {certificate}")


def _good(certificate: Path, anchor: bytes, names: Sequence[str], now: datetime) -> bool:
    """Tell whether the server's certificate may stay."""
    pem = read_file(certificate)
    facts = certs.parse_certificate(pem)
    known = {*facts.dns_names, *facts.ip_addresses}
    lasting = facts.not_after - now > _RENEW_BEFORE
    return lasting and set(names) <= known and certs.signed_by(pem, anchor)


def _last(chain: bytes) -> bytes:
    parts = [part for part in chain.split(_END) if b"-----BEGIN CERTIFICATE-----" in part]
    return parts[-1].lstrip() + _END + b"\n"
