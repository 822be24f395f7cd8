"""Whether devices accept the server's certificate: the whole chain, up to the anchor they know."""

from __future__ import annotations

import contextlib
import ssl
from typing import TYPE_CHECKING

from penguind.identity.authority import load_anchors
from penguind.tls import CertificateSource
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from pathlib import Path

    from penguind.config import Settings
    from penguind.config_listeners import ListenerSettings
    from penguindome.times import Clock


def certificate_sources(settings: Settings, clock: Clock) -> dict[str, CertificateSource]:
    """Return the sources of the listeners' certificates by name, which take what devices accept.

    Listeners that show the same certificate under the same name have one source.

    Raises:
        PreconditionFailed: a certificate that is there is none of these.
    """
    state_dir = settings.server.state_dir
    load_anchors(state_dir)
    sharing: dict[tuple[Path, Path, str], list[ListenerSettings]] = {}
    for one in settings.listeners:
        shown = (one.certificate, one.key, one.advertised_host)
        sharing.setdefault(shown, []).append(one)
    found: dict[str, CertificateSource] = {}
    for together in sharing.values():
        user = "the server" if len(sharing) == 1 else _names(together)
        source = _source(together[0], state_dir, clock, user)
        found |= dict.fromkeys((one.name for one in together), source)
    return found


def _source(
    listener: ListenerSettings, state_dir: Path, clock: Clock, user: str
) -> CertificateSource:
    def accept() -> None:
        verify_by_any(listener.certificate, listener.key, state_dir, listener.advertised_host)

    return CertificateSource(listener.certificate, listener.key, clock, accept, user)


def _names(listeners: list[ListenerSettings]) -> str:
    names = [one.name for one in listeners]
    if len(names) == 1:
        return f"the listener {names[0]}"
    return f"the listeners {', '.join(names[:-1])} and {names[-1]}"


def verify_by_any(certificate: Path, key: Path, state_dir: Path, host: str) -> None:
    """Check that who knows one of the present anchors accepts a certificate.

    Raises:
        PreconditionFailed: no anchor leads to it.
    """
    *others, oldest = load_anchors(state_dir)
    for anchor in others:
        with contextlib.suppress(PreconditionFailed):
            verify_chain(certificate, key, anchor.certificate, host)
            return
    verify_chain(certificate, key, oldest.certificate, host)


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
