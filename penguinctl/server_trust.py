"""Which anchors and addresses of the server an operator may sign into the trust document."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguinctl import wire
from penguinctl.exits import NotVerified
from penguindome import certs
from penguindome.errors import InvalidInput, NotFound, PenguinDomeError, PreconditionFailed
from penguindome.names import is_dialled_host
from penguindome.trust import ServerAddress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.app import App
    from penguindome.trust import TrustDocument
    from penguindome.v1 import server_pb2

_PLACE = re.compile(r"(?P<host>.+):(?P<main>[0-9]{1,5}),(?P<bootstrap>[0-9]{1,5})")
_LARGEST_PORT = 65_535
PREFIX = 8


@dataclass(frozen=True, slots=True)
class Offered:
    """An anchor that the server says it can prove itself by, DER, and what vouches for it."""

    certificate: bytes
    cross: bytes


def fingerprint(anchor: bytes) -> str:
    """Return what people compare with `penguind ca show`."""
    return hashlib.sha256(anchor).hexdigest()


def offered(app: App) -> list[Offered]:
    """Return the server's anchors, the newest first; nothing is verified."""
    response: server_pb2.ListAnchorsResponse = app.call(
        "server.ListAnchors", wire.server_pb2.ListAnchorsRequest()
    )
    return [Offered(one.certificate, one.cross_certificate) for one in response.anchors]


def proven(pinned: Sequence[bytes], anchors: Sequence[Offered]) -> list[bytes]:
    """Return the anchors that are new and vouched for by one that is pinned, the newest first.

    Raises:
        NotVerified: One is not vouched for; whoever wants it pinned may not be our server.
    """
    known, new = list(pinned), list[bytes]()
    # The oldest first: each vouches for the next.
    for one in reversed(anchors):
        if one.certificate in known:
            continue
        if not _vouched(one, known):
            raise NotVerified(
                "the server names an anchor that no pinned anchor vouches for",
                subject=fingerprint(one.certificate),
                code="anchor-not-verified",
                remedy="Nothing was done; ask the server's administrator whether"
                " `penguind ca show` lists it",
            )
        known.append(one.certificate)
        new.insert(0, one.certificate)
    return new


def without(document: TrustDocument, start: str, anchors: Sequence[Offered]) -> list[bytes]:
    """Return a document's anchors without the one whose fingerprint begins so.

    Raises:
        NotFound: There is none, or there are several.
        PreconditionFailed: The server could not prove itself to any device by what is left.
    """
    gone = [one for one in document.tls_anchors if _begins(one, start)]
    if len(gone) != 1:
        raise NotFound(
            "the trust document has no such anchor",
            subject=start,
            remedy="`penguinctl trust anchors` lists them",
        )
    left = [one for one in document.tls_anchors if one not in gone]
    if not set(left) & {one.certificate for one in anchors}:
        raise PreconditionFailed(
            "no device would believe the server any more: by none of the other anchors can it"
            " prove itself",
            subject=fingerprint(gone[0]),
            code="last-anchor",
            remedy="Add the new one first: penguinctl trust anchors --add-from-server",
        )
    return left


def check_compared(new: Sequence[bytes], compared: Sequence[str]) -> None:
    """Check that somebody compared each new anchor's fingerprint elsewhere.

    Raises:
        PreconditionFailed: One was not compared, or differs.
    """
    for one in new:
        if not any(_begins(one, start) for start in compared):
            raise PreconditionFailed(
                "the anchor's fingerprint is not the one that was given",
                subject=fingerprint(one),
                code="not-compared",
                remedy="Nothing was done; give what `penguind ca show` says on the server,"
                " with --fingerprint",
            )


def parse_place(text: str) -> ServerAddress:
    """Return the address that HOST:MAIN,BOOTSTRAP means; IPv6 hosts go into brackets.

    Raises:
        InvalidInput: It is none.
    """
    found = _PLACE.fullmatch(text)
    host = found["host"] if found else ""
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    ports = (int(found["main"]), int(found["bootstrap"])) if found else (0, 0)
    good = all(0 < port <= _LARGEST_PORT for port in ports)
    if not good or not is_dialled_host(host) or (":" in host) is not bracketed:
        raise InvalidInput(
            "this is no address of a server",
            subject=text[:80],
            remedy="Write HOST:MAIN,BOOTSTRAP, e.g. penguin.example:7443,7444",
        )
    return ServerAddress(host, *ports)


def written(address: ServerAddress) -> str:
    """Return an address as `parse_place` reads it."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    return f"{host}:{address.main_port},{address.bootstrap_port}"


def _begins(anchor: bytes, start: str) -> bool:
    wanted = start.lower().replace(":", "")
    return len(wanted) >= PREFIX and fingerprint(anchor).startswith(wanted)


def _vouched(one: Offered, known: Sequence[bytes]) -> bool:
    """Tell whether a known anchor signed the very key and name of an authority."""
    if not one.cross:
        return False
    try:
        itself, cross = certs.parse_certificate(one.certificate), certs.parse_certificate(one.cross)
        same = (itself.spki, itself.subject) == (cross.spki, cross.subject)
        return (
            same
            and itself.is_ca
            and cross.is_ca
            and certs.signed_by(one.certificate, one.certificate)
            and any(certs.signed_by(one.cross, anchor) for anchor in known)
        )
    except PenguinDomeError:
        return False
