"""The server's certificate: checked before it is used, replaced without a restart.

gRPC keeps the former certificate in silence when it is given a bad one, so everything is checked
here first; what is wrong with a replacement is kept for the server's status.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import grpc

from penguindome import certs
from penguindome.errors import PenguinDomeError, PreconditionFailed
from penguindome.logs import logger

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from penguindome.times import Clock

log = logger("penguind.tls")

_LIMIT = 256 << 10
_WARN_BEFORE = timedelta(days=30)
_Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate chain and its key, PEM, both checked."""

    chain: bytes
    key: bytes
    not_before: datetime
    not_after: datetime


class CertificateSource:
    """Reads the two files, and again when one of them changes.

    Args:
        certificate: the chain's file.
        key: its key's file.
        clock: tells whether the chain is valid.
        accept: raises PreconditionFailed for files that devices would not accept.
        user: who shows the certificate, as messages name it.

    Raises:
        PreconditionFailed: when the first reading is not usable.
    """

    def __init__(
        self,
        certificate: Path,
        key: Path,
        clock: Clock,
        accept: Callable[[], None] = lambda: None,
        user: str = "the server",
    ) -> None:
        self._paths = (certificate, key)
        self._clock = clock
        self._accept = accept
        self._user = user
        self._lock = threading.Lock()
        self._stamp = self._read_stamp()
        self._problem = ""
        self._current = self._load()

    def current(self) -> KeyPair:
        """Return the newest good pair; looks at the files, and never raises.

        Called for each handshake on a thread of gRPC's.
        """
        with self._lock:
            self._refresh()
            return self._current

    def problems(self) -> list[str]:
        """Return what is not well with the certificate, a sentence each."""
        pair = self.current()
        found = [self._problem] if self._problem else []
        left = pair.not_after - self._clock()
        if left < timedelta():
            found.append(f"The certificate of {self._user} ended on {pair.not_after:%Y-%m-%d}.")
        elif left < _WARN_BEFORE:
            found.append(f"The certificate of {self._user} ends on {pair.not_after:%Y-%m-%d}.")
        return found

    def _refresh(self) -> None:
        try:
            stamp = self._read_stamp()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            self._current = self._load()
        except (PenguinDomeError, OSError) as error:
            text = error.text() if isinstance(error, PenguinDomeError) else str(error)
            problem = f"A new certificate of {self._user} is not used: {text}."
            if problem != self._problem:
                log.exception("{}", problem)
            self._problem = problem
        else:
            self._problem = ""
            until = self._current.not_after
            log.info("A new certificate of {} is in use until {}", self._user, until)

    def _read_stamp(self) -> _Stamp:
        facts = [path.stat() for path in self._paths if _there(path)]
        return tuple((fact.st_mtime_ns, fact.st_ino, fact.st_size) for fact in facts)

    def _load(self) -> KeyPair:
        certificate, key = self._paths
        pair = checked(_read(certificate), _read(key), subject=str(certificate))
        check_dates(pair, self._clock(), subject=str(certificate))
        self._accept()
        return pair


def checked(chain: bytes, key: bytes, *, subject: str) -> KeyPair:
    """Return a pair whose key belongs to the chain's first certificate.

    Raises:
        PreconditionFailed: when they do not belong together or cannot be read.
    """
    try:
        facts = certs.parse_certificate(chain)
        spki = certs.key_spki(key)
    except PenguinDomeError as error:
        raise PreconditionFailed(error.reason, code="bad-certificate", subject=subject) from error
    if spki != facts.spki:
        raise PreconditionFailed(
            "the key does not belong to the certificate",
            code="bad-certificate",
            subject=subject,
            remedy="put the certificate and its own key in place, the key first",
        )
    return KeyPair(chain, key, facts.not_before, facts.not_after)


def check_dates(pair: KeyPair, now: datetime, *, subject: str) -> None:
    """Check a pair's dates against the server's clock.

    Raises:
        PreconditionFailed: when the clock is outside them.
    """
    if now < pair.not_before:
        raise PreconditionFailed(
            f"the clock says {now:%Y-%m-%d %H:%M}, before the certificate starts "
            f"({pair.not_before:%Y-%m-%d %H:%M})",
            code="clock",
            subject=subject,
            remedy="set this machine's clock (timedatectl), then start again",
        )
    if now > pair.not_after:
        raise PreconditionFailed(
            f"the certificate ended on {pair.not_after:%Y-%m-%d}",
            code="expired",
            subject=subject,
            remedy="renew it with penguind setup, or put a new one in place",
        )


def server_credentials(
    source: CertificateSource, client_roots: Callable[[], bytes] | None
) -> grpc.ServerCredentials:
    """Return one listener's credentials; with roots, a client certificate is required.

    Both are asked anew at each handshake, so that new ones hold without a restart.
    """

    def roots_of() -> bytes | None:
        return client_roots() if client_roots is not None else None

    handed = source.current(), roots_of()

    def fetch() -> Any:
        # None means unchanged; a new configuration makes gRPC forget its session tickets.
        nonlocal handed
        current = source.current(), roots_of()
        if current[0] is handed[0] and current[1] == handed[1]:
            return None
        handed = current
        return _configuration(*current)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(*handed), fetch, require_client_authentication=client_roots is not None
    )


def _configuration(pair: KeyPair, roots: bytes | None) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key, pair.chain)], roots)


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _read(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise PreconditionFailed(
            error.strerror or "cannot be read",
            code="certificate-missing",
            subject=str(path),
            remedy="run penguind setup, or correct listen.certificate and listen.key",
        ) from error
    if len(data) > _LIMIT:
        raise PreconditionFailed("the file is too large", subject=str(path))
    return data
