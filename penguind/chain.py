"""Whether devices accept the server's certificate: the whole chain, up to the anchor they know."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from penguind.identity.authority import load_anchor
from penguind.tls import CertificateSource
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from pathlib import Path

    from penguind.config import Settings
    from penguindome.times import Clock


def certificate_source(settings: Settings, clock: Clock) -> CertificateSource:
    """Return the source of the server's certificate, which takes only what devices accept.

    Raises:
        PreconditionFailed: the certificate that is there is none of these.
    """
    anchor = load_anchor(settings.server.state_dir)
    listen, host = settings.listen, settings.server.advertised_host

    def accept() -> None:
        verify_chain(listen.certificate, listen.key, anchor, host)

    return CertificateSource(listen.certificate, listen.key, clock, accept)


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
            remedy="its names must include the advertised host, and its file the whole chain, up "
            "to the authority that devices know; for one of penguind's own, run penguind setup",
        ) from error


def _step(side: ssl.SSLObject) -> None:
    try:
        side.do_handshake()
    except ssl.SSLWantReadError:
        return
