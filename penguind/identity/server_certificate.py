"""The server's own certificate, by the newest anchor, with what older anchors say about that one.

The file holds the leaf and the cross certificates, the newest first, so that peers that know any
of the anchors accept it. A renewal keeps the key: then one file changes, whole or not at all.
"""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.identity.authority import BACKDATE
from penguind.identity.authority_files import generations, newest
from penguindome import certs
from penguindome.durable import read_file, write_file
from penguindome.errors import PenguinDomeError, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

# Browsers and Apple's TLS refuse more; https://support.apple.com/102028.
SERVER_LIFETIME = timedelta(days=397)
RENEW_BEFORE = timedelta(days=30)
_LIMIT = 256 << 10


def server_chain(
    state_dir: Path, key_pem: bytes, names: Sequence[str], now: datetime, anchor_key: bytes
) -> bytes:
    """Return a new certificate for a key of the server's, and its chain, PEM."""
    anchor = newest(state_dir, "anchor")
    leaf = certs.issue(
        authority_pem=anchor.certificate,
        authority_key_pem=anchor_key,
        spki=certs.key_spki(key_pem),
        dns_names=[name for name in names if not is_address(name)],
        ip_addresses=[name for name in names if is_address(name)],
        client=False,
        not_before=now - BACKDATE,
        not_after=min(now + SERVER_LIFETIME, anchor.facts.not_after),
    )
    return leaf + crosses(state_dir)


def crosses(state_dir: Path) -> bytes:
    """Return the cross certificates that lead from the newest anchor to the oldest, PEM."""
    return b"".join(one.cross for one in generations(state_dir, "anchor")[:-1])


def renew_server_certificates(
    state_dir: Path,
    pairs: Iterable[tuple[Path, Path]],
    now: datetime,
    anchor_key: bytes,
    *,
    due: bool = True,
) -> list[Path]:
    """Renew certificates of the server's, for the same keys and names; returns which.

    Args:
        state_dir: the state folder.
        pairs: files of certificates and their keys; those that are not ours are passed over.
        now: the time.
        anchor_key: the newest anchor's key, PEM.
        due: whether only those are renewed that end soon.
    """
    renewed = []
    for path, key in own_pairs(state_dir, pairs):
        facts = readable(path)
        if facts is None or (due and facts.not_after - now >= RENEW_BEFORE):
            continue
        names = (*facts.dns_names, *facts.ip_addresses)
        write_file(path, server_chain(state_dir, read_file(key), names, now, anchor_key), 0o644)
        renewed.append(path)
    return renewed


def readable(path: Path) -> certs.CertificateFacts | None:
    """Return what a certificate's file says; None if it is none, which whoever shows it tells."""
    try:
        return certs.parse_certificate(read_file(path, _LIMIT))
    except PenguinDomeError:
        return None


def rewrite_chains(state_dir: Path, pairs: Iterable[tuple[Path, Path]]) -> None:
    """Put the present cross certificates behind the leaves of the newest anchor."""
    anchor = newest(state_dir, "anchor").certificate
    for path, _ in own_pairs(state_dir, pairs):
        pem = read_file(path, _LIMIT)
        if certs.signed_by(pem, anchor):
            leaf = certs.der_to_pem(certs.pem_to_der(pem))
            write_file(path, leaf + crosses(state_dir), 0o644)


def own_pairs(state_dir: Path, pairs: Iterable[tuple[Path, Path]]) -> list[tuple[Path, Path]]:
    """Return the files that are penguind's own, each once."""
    own = [pair for pair in pairs if pair[0].parent == state_dir / "tls"]
    return list(dict.fromkeys(own))


def read_anchor_key(state_dir: Path, given: bytes = b"") -> bytes:
    """Return the newest anchor's key: the given one, or the file's.

    Raises:
        PreconditionFailed: it is elsewhere, or it is another anchor's.
    """
    anchor = newest(state_dir, "anchor")
    if not given and not anchor.key_path.exists():
        raise PreconditionFailed(
            "the anchor's key is not on this machine",
            code="anchor-key-missing",
            subject=str(anchor.key_path),
            remedy="name the file that holds it with --anchor-key FILE, or bring it back for as"
            " long as the command runs",
        )
    key = given or read_file(anchor.key_path)
    if certs.key_spki(key) != anchor.facts.spki:
        raise PreconditionFailed(
            "the key is not the newest anchor's",
            code="anchor-key-other",
            subject=str(anchor.path),
            remedy=f"the key of the anchor {anchor.fingerprint[:16]} is needed",
        )
    return key


def is_address(name: str) -> bool:
    """Tell whether a name is an IP address."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
