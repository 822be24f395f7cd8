"""The identity on the disk: key, certificate and device.json, in a folder that survives any crash.

The order of writing is what makes it safe. A new key and its request are on the disk before the
server hears of them; a new certificate is on the disk before the old one is touched:

    enroll: key.next, csr.next, enrolling.json, (server), certificate.next, device.json, settle
    renew:  key.next, csr.next, successions.json, (server), certificate.next, settle
    settle: key.next becomes key.pem, certificate.next becomes certificate.pem, the rest goes

`settle` runs at every start and completes what a crash interrupted. A key.next without
a certificate stays, so that the repeated request is the same request.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from penguin_agent import key_proofs
from penguin_agent.failpoints import no_failpoint
from penguin_agent.identity import Facts, Identity, read_device, read_file
from penguindome.certs import parse_certificate
from penguindome.csr import make_csr
from penguindome.durable import make_private_dir, write_file
from penguindome.errors import Damaged, InvalidInput, Unauthenticated
from penguindome.keys import fingerprint, generate_key, key_spki, sign
from penguindome.names import parse_uri

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from penguin_agent.failpoints import Failpoint
    from penguin_agent.identity import Device
    from penguindome.succession import SealedSuccession

FILES = ("key.pem", "certificate.pem", "device.json")
_NEXT = ("certificate.next", "csr.next", "key.next")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key that has no certificate yet, and the request that was made for it once."""

    key_pem: bytes
    csr: bytes

    def sign(self, data: bytes) -> bytes:
        """Sign with the new key."""
        return sign(self.key_pem, data)

    @property
    def fingerprint(self) -> str:
        """Return the key's fingerprint."""
        return fingerprint(key_spki(self.key_pem))


class IdentityFolder:
    """The folder `identity/`, mode 0700, files 0600."""

    def __init__(self, directory: Path, failpoint: Failpoint = no_failpoint) -> None:
        self._directory = directory
        self._failpoint = failpoint
        make_private_dir(directory)

    def load(self) -> Identity | None:
        """Complete what a crash interrupted, and return the identity; None if not enrolled.

        Raises:
            Damaged: The files contradict each other.
        """
        self._settle()
        device = self._read_device("device.json")
        if device is None:
            return None
        key, certificate = self._read("key.pem"), self._read("certificate.pem")
        if key is None or certificate is None:
            raise Damaged(
                "the identity is incomplete",
                subject=str(self._directory),
                remedy="Run penguin-agent unenroll, then enroll with a new token",
            )
        return Identity(device, key, certificate, checked_certificate(certificate, key, device))

    def candidate(self) -> Candidate:
        """Return the key that waits for a certificate; makes one if there is none."""
        key, csr = self._read("key.next"), self._read("csr.next")
        if key is None:
            # A request without its key is nobody's.
            (self._directory / "csr.next").unlink(missing_ok=True)
            key, csr = generate_key(), None
            self._write("key.next", key)
            self._failpoint("identity.key-written")
        if csr is None:
            csr = make_csr(key)
            self._write("csr.next", csr)
            self._failpoint("identity.csr-written")
        return Candidate(key, csr)

    def proofs(self, identity: Identity, now: datetime) -> tuple[SealedSuccession, ...]:
        """Return what proves that the candidate's key follows the identity's, oldest first."""
        path = self._directory / key_proofs.FILE
        made = key_proofs.extend(path, identity, self.candidate().key_pem, now)
        self._failpoint("identity.proof-written")
        return made

    def application(self) -> Device | None:
        """Return the enrollment that is under way; None if there is none."""
        return self._read_device("enrolling.json")

    def apply(self, device: Device) -> None:
        """Note an enrollment that is about to be asked for, or that waits for approval."""
        self._write("enrolling.json", _to_json(device))
        self._failpoint("identity.application-written")

    def accept(self, certificate_pem: bytes, device: Device) -> Identity:
        """Take a certificate for the candidate's key, and make it this device's identity.

        Raises:
            Damaged: The certificate is for another key or another device.
        """
        candidate = self.candidate()
        checked_certificate(certificate_pem, candidate.key_pem, device)
        self._write("certificate.next", certificate_pem)
        self._failpoint("identity.certificate-written")
        self._write("device.json", _to_json(device))
        self._failpoint("identity.device-written")
        identity = self.load()
        if identity is None:
            raise Damaged("the new identity cannot be read back", subject=str(self._directory))
        return identity

    def abandon(self) -> None:
        """Forget an enrollment that did not come to an end, with its key."""
        for name in ("enrolling.json", "certificate.next", "csr.next", "key.next"):
            (self._directory / name).unlink(missing_ok=True)

    def forget(self) -> None:
        """Delete the identity; device.json goes first, so that a crash leaves no half of one."""
        for name in (*reversed(FILES), "enrolling.json", *_NEXT, key_proofs.FILE):
            (self._directory / name).unlink(missing_ok=True)

    def _settle(self) -> None:
        certificate = self._read("certificate.next")
        if certificate is None:
            self._sweep()
            return
        enrolled = self._read_device("device.json")
        device = enrolled or self._waiting_device()
        if device is None or not self._has_key_of(certificate):
            (self._directory / "certificate.next").unlink()
            return
        if enrolled is None:
            self._write("device.json", _to_json(device))
        if not self._matches("key.pem", certificate):
            self._rename("key.next", "key.pem")
            self._failpoint("identity.key-renamed")
        self._rename("certificate.next", "certificate.pem")
        self._failpoint("identity.certificate-renamed")
        self._sweep()

    def _sweep(self) -> None:
        """Delete what belongs to a change that is complete: its key is key.pem by now."""
        enrolled = (self._directory / "device.json").exists()
        if not enrolled or (self._directory / "key.next").exists():
            return
        for name in ("csr.next", "enrolling.json"):
            (self._directory / name).unlink(missing_ok=True)

    def _has_key_of(self, certificate: bytes) -> bool:
        return any(self._matches(name, certificate) for name in ("key.pem", "key.next"))

    def _waiting_device(self) -> Device | None:
        device = self._read_device("enrolling.json")
        return device if device is not None and device.device_id else None

    def _matches(self, key_name: str, certificate: bytes) -> bool:
        key = self._read(key_name)
        try:
            return key is not None and parse_certificate(certificate).spki == key_spki(key)
        except InvalidInput:
            return False

    def _read(self, name: str) -> bytes | None:
        return read_file(self._directory / name)

    def _read_device(self, name: str) -> Device | None:
        return read_device(self._directory / name)

    def _write(self, name: str, data: bytes) -> None:
        write_file(self._directory / name, data)

    def _rename(self, old: str, new: str) -> None:
        (self._directory / old).rename(self._directory / new)
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def checked_certificate(certificate: bytes, key_pem: bytes, device: Device) -> Facts:
    """Return what is asked of a certificate that belongs to a key and names a device.

    Raises:
        Damaged: It belongs to another key, or names somebody else.
    """
    try:
        facts = parse_certificate(certificate)
        (uri,) = facts.uris
        principal = parse_uri(uri)
    except (InvalidInput, Unauthenticated, ValueError):
        raise Damaged("the certificate cannot be read", subject=device.device_id) from None
    if facts.spki != key_spki(key_pem):
        raise Damaged("the certificate is for another key", subject=device.device_id)
    named = (principal.kind, principal.fleet, principal.name)
    if named != ("device", device.fleet, device.device_id):
        raise Damaged(f"the certificate names {uri}", subject=device.device_id)
    return Facts(facts.serial, facts.not_before, facts.not_after, fingerprint(facts.spki))


def _to_json(device: Device) -> bytes:
    return json.dumps(asdict(device), indent=1, sort_keys=True).encode()
