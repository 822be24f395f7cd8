"""The device and operator authorities: they turn a public key into a certificate.

Only the public key of a request is ever used; names, dates and extensions are policy. There may be
several of each kind: the newest one issues, and what the others issued is accepted until they are
retired or end. The server anchors are others' to trust; here they are only read.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from penguind.identity.authority_files import (
    authority_dir,
    certificate_fingerprint,
    generations,
    newest,
    read_needed,
    stamp,
)
from penguindome import certs
from penguindome.errors import PenguinDomeError
from penguindome.logs import logger
from penguindome.names import Principal, to_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from pathlib import Path

log = logger("penguind.identity.authority")

DEVICE_LIFETIME = timedelta(days=14)
OPERATOR_LIFETIME = timedelta(days=30)
# Clocks differ; a certificate that starts a little earlier works at once.
BACKDATE = timedelta(minutes=5)
_WARN_BEFORE = timedelta(days=60)

Kind = Literal["device", "operator"]
LIFETIMES: dict[Kind, timedelta] = {"device": DEVICE_LIFETIME, "operator": OPERATOR_LIFETIME}


@dataclass(frozen=True, slots=True)
class Issuer:
    """One authority's certificate and key, PEM; a former one has no key."""

    certificate: bytes
    key: bytes = b""

    @property
    def expires_time(self) -> datetime:
        """Return when the authority itself ends."""
        return certs.parse_certificate(self.certificate).not_after


Issuers = dict[Kind, tuple[Issuer, ...]]


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh certificate: PEM, its serial as recorded, and its end."""

    certificate: bytes
    serial: str
    expires_time: datetime


@dataclass(frozen=True, slots=True)
class Anchor:
    """A server anchor, PEM; cross: its key and name, signed by the one before it, or empty."""

    certificate: bytes
    cross: bytes = b""

    @property
    def fingerprint(self) -> str:
        """Return what people compare."""
        return certificate_fingerprint(self.certificate)


class Authority:
    """Issues certificates and tells which authority signed one.

    Args:
        fleet: the fleet's id.
        issuers: of each kind, the newest first.
        reload: returns other issuers when the files changed, else None.
    """

    def __init__(
        self,
        fleet: str,
        issuers: Mapping[Kind, Sequence[Issuer]],
        reload: Callable[[], Issuers | None] = lambda: None,
    ) -> None:
        self.fleet = fleet
        self._issuers: Issuers = {kind: tuple(found) for kind, found in issuers.items()}
        self._reload = reload
        self._lock = threading.Lock()
        self._problem = ""
        # Grows when the issuers change: what was decided about a certificate is then void.
        self.revision = 0

    def refresh(self) -> None:
        """Take changed files over; what is wrong with them is a problem, and the old set stays."""
        with self._lock:
            try:
                changed = self._reload()
            except PenguinDomeError as error:
                problem = f"The authorities cannot be read anew: {error.text()}."
                if problem != self._problem:
                    log.exception("{}", problem)
                self._problem = problem
                return
            self._problem = ""
            if changed is not None:
                self._issuers = changed
                self.revision += 1
                log.info("The authorities changed; the newest ones issue from now on")

    def current_roots(self) -> bytes:
        """Return all authorities, PEM: what the main listener's next handshake accepts.

        Called for each handshake on a thread of gRPC's; never raises.
        """
        self.refresh()
        return self.client_roots

    @property
    def client_roots(self) -> bytes:
        """Return all authorities that are known now, PEM."""
        return b"".join(one.certificate for found in self._issuers.values() for one in found)

    def issue(self, kind: Kind, name: str, spki: bytes, now: datetime) -> Issued:
        """Make a certificate for a device id or an operator's name."""
        issuer = self._issuers[kind][0]
        not_after = min(now + LIFETIMES[kind], issuer.expires_time)
        pem = certs.issue(
            authority_pem=issuer.certificate,
            authority_key_pem=issuer.key,
            spki=spki,
            uri=to_uri(Principal(kind, self.fleet, name)),
            client=True,
            not_before=now - BACKDATE,
            not_after=not_after,
        )
        facts = certs.parse_certificate(pem)
        return Issued(pem, facts.serial, facts.not_after)

    def signer(self, certificate: bytes) -> Kind | None:
        """Return which kind of authority signed a certificate, None if none did."""
        for kind, found in self._issuers.items():
            if any(certs.signed_by(certificate, one.certificate) for one in found):
                return kind
        return None

    def ends(self) -> dict[Kind, datetime]:
        """Return when the newest authority of each kind ends."""
        return {kind: found[0].expires_time for kind, found in self._issuers.items()}

    def ending(self, now: datetime) -> list[Kind]:
        """Return the kinds whose newest authority ends soon."""
        return [
            kind
            for kind, found in self._issuers.items()
            if found[0].expires_time - now < _WARN_BEFORE
        ]

    def problems(self, now: datetime) -> list[str]:
        """Return what is not well with the authorities, a sentence each."""
        ends = {kind: self._issuers[kind][0].expires_time for kind in self.ending(now)}
        found = [self._problem] if self._problem else []
        return found + [
            f"The {kind} authority's certificate ends on {end:%Y-%m-%d}; run penguind ca rotate"
            f" {kind}."
            for kind, end in ends.items()
        ]


def key_files(state_dir: Path) -> tuple[Path, ...]:
    """Return the authorities' key files that the server uses.

    Raises:
        PreconditionFailed: an authority is missing.
    """
    return tuple(newest(state_dir, kind).key_path for kind in LIFETIMES)


def anchor_key(state_dir: Path) -> Path:
    """Return where the newest anchor's key is, unless it was moved off the machine."""
    found = generations(state_dir, "anchor")
    return found[0].key_path if found else authority_dir(state_dir) / "anchor-key.pem"


def load_authority(state_dir: Path, fleet: str) -> Authority:
    """Read the authorities that the server uses; changed files are read again.

    Raises:
        PreconditionFailed: when a file is missing.
    """
    seen = stamp(state_dir)
    first = _issuers(state_dir)

    def reload() -> Issuers | None:
        nonlocal seen
        now = stamp(state_dir)
        if now == seen:
            return None
        changed = _issuers(state_dir)
        seen = now
        return changed

    return Authority(fleet, first, reload)


def load_anchors(state_dir: Path) -> tuple[Anchor, ...]:
    """Return the server anchors, the newest first.

    Raises:
        PreconditionFailed: when there is none.
    """
    newest(state_dir, "anchor")
    return tuple(Anchor(one.certificate, one.cross) for one in generations(state_dir, "anchor"))


def load_anchor(state_dir: Path) -> bytes:
    """Return the newest server anchor's certificate, PEM.

    Raises:
        PreconditionFailed: when there is none.
    """
    return newest(state_dir, "anchor").certificate


def _issuers(state_dir: Path) -> Issuers:
    return {"device": _of_kind(state_dir, "device"), "operator": _of_kind(state_dir, "operator")}


def _of_kind(state_dir: Path, kind: Kind) -> tuple[Issuer, ...]:
    first = newest(state_dir, kind)
    former = (Issuer(one.certificate) for one in generations(state_dir, kind)[1:])
    return (Issuer(first.certificate, read_needed(first.key_path)), *former)
