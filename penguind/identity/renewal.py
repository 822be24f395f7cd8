"""Renewing certificates, early or long after they expired, by proof of possession.

Every renewal takes this one way, so that the late one cannot rot. A device's new key is accepted
beside the recorded one until its first use, so that a crash on either side leaves a usable
identity. An operator keeps the key; a new one comes with a new invitation.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguind.domain.enrollment import Outcome, waiting
from penguind.identity.blocking import blocked_error
from penguind.identity.possession import not_proven, prover
from penguindome import certs
from penguindome.errors import Forbidden
from penguindome.logs import logger
from penguindome.possession import renew_bytes, renew_operator_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from penguind.domain.device import Device
    from penguind.identity.authority import Authority, Issued
    from penguind.identity.identities import Identities
    from penguind.identity.key_history import Checked, KeyHistory
    from penguind.identity.nonces import Nonces
    from penguind.ledger import Ledger
    from penguind.store.devices import DeviceStore
    from penguind.store.operators import OperatorStore
    from penguindome.succession import SealedSuccession

log = logger("penguind.identity.renewal")


class Renewal:
    """Replaces the certificates of devices and of operators."""

    def __init__(
        self,
        *,
        devices: DeviceStore,
        operators: OperatorStore,
        identities: Identities,
        history: KeyHistory,
        authority: Authority,
        nonces: Nonces,
        ledger: Ledger,
        clock: Callable[[], datetime],
    ) -> None:
        self._devices = devices
        self._operators = operators
        self._identities = identities
        self._history = history
        self._authority = authority
        self._nonces = nonces
        self._ledger = ledger
        self._clock = clock

    async def renew(
        self,
        nonce: bytes,
        device_id: str,
        csr: bytes,
        signature: bytes,
        proofs: Sequence[SealedSuccession] = (),
    ) -> Outcome:
        """Return a fresh certificate for the request's key.

        Raises:
            Unauthenticated: nonce or signature is wrong, or there is no such device.
            InvalidInput: the request's key is not acceptable, or the proofs do not lead to it.
            Forbidden: the device is revoked or blocked, or a proof is not by its keys.
        """
        now = self._clock()
        self._nonces.use(nonce, now)
        device = await self._devices.get(device_id)
        if device is None:
            raise not_proven()
        proven = prover(device.keys(), renew_bytes(nonce, device_id, csr), signature)
        spki = certs.csr_spki(csr)
        if device.state == "revoked":
            raise _revoked(device_id)
        if device.state == "blocked":
            raise blocked_error(device.blocked_by, device_id)
        if device.state == "pending" or await self._identities.suspend_dormant(device, now):
            return waiting(device, now)
        checked = self._history.check(device_id, proofs, proven, spki)
        return await self._renewed(device, proven, spki, checked, now)

    async def renew_operator(self, nonce: bytes, name: str, signature: bytes) -> Issued:
        """Return a fresh certificate for an operator's recorded key.

        Raises:
            Unauthenticated: nonce or signature is wrong, or there is no such operator.
            Forbidden: the operator is revoked, or was away for too long.
        """
        now = self._clock()
        self._nonces.use(nonce, now)
        operator = await self._operators.get(name)
        if operator is None:
            raise not_proven()
        prover((operator.spki,), renew_operator_bytes(nonce, name), signature)
        operator.check_renewable(now)
        issued = self._authority.issue("operator", name, operator.spki, now)
        await self._ledger.append(f"operator/{name}", "operator.renew", name, {})
        if not await self._operators.add_certificate(
            name, operator.spki, issued.serial, issued.expires_time
        ):
            raise not_proven()
        self._identities.forget("operator", name)
        log.info("Operator {} renewed until {:%Y-%m-%d}", name, issued.expires_time)
        return issued

    async def _renewed(
        self, device: Device, proven: bytes, spki: bytes, checked: Sequence[Checked], now: datetime
    ) -> Outcome:
        """Record the proofs and the new certificate, then hand it out."""
        device_id = device.device_id
        if proven == device.pending_spki:
            await self._identities.promote_key(device_id, proven)
        issued = self._authority.issue("device", device_id, spki, now)
        pending = None if spki == proven else spki
        await self._history.keep(checked, now)
        if not await self._devices.add_certificate(
            device_id, issued.serial, issued.expires_time, pending
        ):
            raise _revoked(device_id)
        self._identities.forget("device", device_id)
        log.info("Device {} renewed until {:%Y-%m-%d}", device_id, issued.expires_time)
        return Outcome("active", device_id, issued.certificate, device.approval)


def _revoked(device_id: str) -> Forbidden:
    return Forbidden(
        "the device is revoked",
        code="revoked",
        subject=device_id,
        remedy="enroll again with a new token",
    )
