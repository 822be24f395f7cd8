"""The device and operator authorities: they turn a public key into a certificate.

Only the public key of a request is ever used; names, dates and extensions are policy. The server
anchor is not here: its key makes the server's own certificate once and may leave the machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

from penguindome import certs
from penguindome.durable import read_file
from penguindome.errors import NotFound, PreconditionFailed
from penguindome.names import Principal, to_uri

if TYPE_CHECKING:
    from pathlib import Path

DEVICE_LIFETIME = timedelta(days=14)
OPERATOR_LIFETIME = timedelta(days=30)
# Clocks differ; a certificate that starts a little earlier works at once.
BACKDATE = timedelta(minutes=5)
_LIMIT = 64 << 10
_WARN_BEFORE = timedelta(days=60)

Kind = Literal["device", "operator"]
_LIFETIMES: dict[Kind, timedelta] = {"device": DEVICE_LIFETIME, "operator": OPERATOR_LIFETIME}


@dataclass(frozen=True, slots=True)
class Issuer:
    """One authority's certificate and key, PEM."""

    certificate: bytes
    key: bytes

    @property
    def expires_time(self) -> datetime:
        """Return when the authority itself ends."""
        return certs.parse_certificate(self.certificate).not_after


@dataclass(frozen=True, slots=True)
class Issued:
    """A fresh certificate: PEM, its serial as recorded, and its end."""

    certificate: bytes
    serial: str
    expires_time: datetime


class Authority:
    """Issues certificates and tells which of the two authorities signed one."""

    def __init__(self, fleet: str, device: Issuer, operator: Issuer) -> None:
        self.fleet = fleet
        self._issuers: dict[Kind, Issuer] = {"device": device, "operator": operator}

    @property
    def client_roots(self) -> bytes:
        """Return both authorities, PEM: what the main listener's handshake accepts."""
        return b"".join(issuer.certificate for issuer in self._issuers.values())

    def issue(self, kind: Kind, name: str, spki: bytes, now: datetime) -> Issued:
        """Make a certificate for a device id or an operator's name."""
        issuer = self._issuers[kind]
        not_after = min(now + _LIFETIMES[kind], issuer.expires_time)
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
        """Return which authority signed a certificate, None if neither did."""
        for kind, issuer in self._issuers.items():
            if certs.signed_by(certificate, issuer.certificate):
                return kind
        return None

    def problems(self, now: datetime) -> list[str]:
        """Return what is not well with the authorities, a sentence each."""
        ending = {k: i.expires_time for k, i in self._issuers.items()}
        return [
            f"The {kind} authority's certificate ends on {end:%Y-%m-%d}; run penguind setup, which"
            " renews it, and restart penguind."
            for kind, end in ending.items()
            if end - now < _WARN_BEFORE
        ]


def authority_dir(state_dir: Path) -> Path:
    """Return the folder of the three authorities."""
    return state_dir / "authority"


def key_files(state_dir: Path) -> tuple[Path, ...]:
    """Return the authorities' key files that the server uses."""
    folder = authority_dir(state_dir)
    return (folder / "device-ca-key.pem", folder / "operator-ca-key.pem")


def anchor_key(state_dir: Path) -> Path:
    """Return where the server anchor's key is, unless it was moved off the machine."""
    return authority_dir(state_dir) / "anchor-key.pem"


def load_authority(state_dir: Path, fleet: str) -> Authority:
    """Read the two authorities that the server uses.

    Raises:
        PreconditionFailed: when a file is missing.
    """
    return Authority(fleet, _issuer(state_dir, "device"), _issuer(state_dir, "operator"))


def load_anchor(state_dir: Path) -> bytes:
    """Return the server anchor's certificate, PEM.

    Raises:
        PreconditionFailed: when the file is missing.
    """
    return _read(authority_dir(state_dir) / "anchor.pem")


def _issuer(state_dir: Path, kind: Kind) -> Issuer:
    folder = authority_dir(state_dir)
    return Issuer(_read(folder / f"{kind}-ca.pem"), _read(folder / f"{kind}-ca-key.pem"))


def _read(path: Path) -> bytes:
    try:
        return read_file(path, _LIMIT)
    except NotFound:
        raise PreconditionFailed(
            "the file is missing",
            code="authority-missing",
            subject=str(path),
            remedy="run penguind setup, or restore the state folder from a backup",
        ) from None
