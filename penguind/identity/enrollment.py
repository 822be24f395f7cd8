"""Enrolling devices: a token and a proof of possession become a record and a certificate.

1. The nonce is used once. 2. The request's key signed the application. 3. The secret is the
token's; a wrong one is counted, the fifth freezes the token, and the answer tells nothing more.
4. The token allows the time and the network. 5. One use is reserved for the request, atomically;
the same request again gets the same device and takes no second use. 6. The ledger's row is there
before the device, so that none is ever without. Hints never merge records.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from penguind.domain.device import Device
from penguind.domain.enrollment import (
    Application,
    Outcome,
    check_application,
    shortened,
    waiting,
)
from penguind.domain.token import (
    WRONG_SECRETS_ALLOWED,
    Address,
    Token,
    refused,
    used_up,
)
from penguind.identity.blocking import blocked_error
from penguind.identity.possession import not_proven, prover
from penguindome import certs
from penguindome.errors import PreconditionFailed
from penguindome.ids import new_device_id
from penguindome.logs import logger
from penguindome.names import clean_hostname
from penguindome.possession import enroll_bytes, poll_bytes
from penguindome.tokens import hash_secret

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from penguind.identity.authority import Authority, Issued
    from penguind.identity.identities import Identities
    from penguind.identity.nonces import Nonces
    from penguind.ledger import Ledger
    from penguind.store.devices import DeviceStore
    from penguind.store.tokens import TokenStore

log = logger("penguind.identity.enrollment")

_DUMMY_HASH = bytes(32)


class States(Protocol):
    """Where a new device's empty state is made."""

    async def create(self, device_id: str, now: datetime) -> None:
        """Make the state; harmless when it exists."""


class Enrollment:
    """Begin, enroll, poll."""

    def __init__(
        self,
        *,
        devices: DeviceStore,
        tokens: TokenStore,
        states: States,
        identities: Identities,
        authority: Authority,
        nonces: Nonces,
        ledger: Ledger,
        clock: Callable[[], datetime],
    ) -> None:
        self._devices = devices
        self._tokens = tokens
        self._states = states
        self._identities = identities
        self._authority = authority
        self._nonces = nonces
        self._ledger = ledger
        self._clock = clock

    def begin(self) -> bytes:
        """Return a nonce."""
        return self._nonces.new(self._clock())

    async def enroll(self, application: Application, address: Address | None) -> Outcome:
        """Redeem a token.

        Raises:
            Unauthenticated: nonce or signature is wrong.
            InvalidInput: the request's key or a hint is not acceptable.
            Forbidden: the token is not accepted.
        """
        now = self._clock()
        check_application(application)
        self._nonces.use(application.nonce, now)
        spki = certs.csr_spki(application.csr)
        signed = enroll_bytes(
            application.nonce,
            application.token_id,
            application.csr,
            application.hostname,
            application.hints,
        )
        prover((spki,), signed, application.signature)
        token = await self._token(application)
        token.admit(address, now)
        csr_hash = hashlib.sha256(application.csr).digest()
        device_id = await self._tokens.reserve(token.token_id, csr_hash, new_device_id(), now)
        if device_id is None:
            raise used_up()
        device = _applied(
            application, token, device_id=device_id, spki=spki, address=address, now=now
        )
        return await self._admitted(device, now)

    async def poll(self, nonce: bytes, device_id: str, signature: bytes) -> Outcome:
        """Tell an applicant where it stands.

        Raises:
            Unauthenticated: nonce or signature is wrong, or there is no such device.
        """
        now = self._clock()
        self._nonces.use(nonce, now)
        device = await self._devices.get(device_id)
        if device is None:
            raise not_proven()
        prover(device.keys(), poll_bytes(nonce, device_id), signature)
        return await self._standing(device, now)

    async def _token(self, application: Application) -> Token:
        """Return the token whose secret the applicant knows."""
        token = await self._tokens.get(application.token_id.hex())
        known = _DUMMY_HASH if token is None else token.secret_hash
        right = hmac.compare_digest(known, hash_secret(application.token_secret))
        if token is None:
            raise refused()
        if not right:
            await self._count_wrong(token)
            raise refused()
        return token

    async def _count_wrong(self, token: Token) -> None:
        if await self._tokens.count_wrong_secret(token.token_id) == WRONG_SECRETS_ALLOWED:
            log.warning("Token {} is frozen after wrong secrets", token.token_id)
            await self._ledger.append("server", "token.freeze", token.token_id, {})

    async def _admitted(self, device: Device, now: datetime) -> Outcome:
        """Store the device if it is new, else answer from what is stored."""
        stored = await self._devices.get(device.device_id)
        if stored is not None:
            return await self._standing(stored, now)
        await self._states.create(device.device_id, now)
        outcome = waiting(device, now)
        if device.state == "active":
            issued = self._issue(device, now)
            device = replace(
                device, serials=(issued.serial,), certificate_expires_time=issued.expires_time
            )
            outcome = Outcome("active", device.device_id, issued.certificate)
        actor, label = f"token/{device.token_id}", f"device.{_VERBS[device.state]}"
        details = {"hostname": device.hostname, "key_fingerprint": device.fingerprint}
        await self._ledger.append(actor, label, device.device_id, details)
        if not await self._devices.insert(device):
            return await self._known(device.device_id, now)
        log.info("Device {} ({}) is {}", device.device_id, device.hostname, device.state)
        return outcome

    async def _known(self, device_id: str, now: datetime) -> Outcome:
        stored = await self._devices.get(device_id)
        if stored is None:
            raise PreconditionFailed("the device was deleted meanwhile", code="deleted")
        return await self._standing(stored, now)

    async def _standing(self, device: Device, now: datetime) -> Outcome:
        if device.state == "pending" or await self._identities.suspend_dormant(device, now):
            return waiting(device, now)
        if device.state == "revoked":
            return Outcome("rejected", device.device_id)
        if device.state == "blocked":
            raise blocked_error(device.blocked_by, device.device_id)
        issued = self._issue(device, now)
        if not await self._devices.add_certificate(
            device.device_id, issued.serial, issued.expires_time, None
        ):
            return Outcome("rejected", device.device_id)
        self._identities.forget("device", device.device_id)
        return Outcome("active", device.device_id, issued.certificate, device.approval)

    def _issue(self, device: Device, now: datetime) -> Issued:
        return self._authority.issue("device", device.device_id, device.spki, now)


_VERBS = {"active": "enroll", "pending": "apply"}


def _applied(
    application: Application,
    token: Token,
    *,
    device_id: str,
    spki: bytes,
    address: Address | None,
    now: datetime,
) -> Device:
    """Return the record of a device that just applied."""
    return Device(
        device_id=device_id,
        hostname=clean_hostname(application.hostname),
        state="pending" if token.needs_approval else "active",
        spki=spki,
        fingerprint=certs.fingerprint(spki),
        enrolled_time=now,
        labels=token.labels,
        hints=dict(application.hints),
        approved_by="" if token.needs_approval else "token",
        agent_version=shortened(application.agent_version),
        os_name=shortened(application.os_name),
        peer_address="" if address is None else str(address),
        token_id=token.token_id,
        csr_hash=hashlib.sha256(application.csr).digest(),
    )
