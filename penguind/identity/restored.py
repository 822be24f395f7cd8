"""Certificates that a restored database does not know, since they came after its backup.

A device makes a new key for each renewal, so that proof of possession cannot help it when the
record that knows this key was lost. The certificate can: our authority signed it, for this name,
between the backup and the restore. It is taken over once, and only if it lasts longer than the
newest one that the record knows.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.identity.authority import BACKDATE
from penguindome.logs import logger

if TYPE_CHECKING:
    from penguind.identity.identities import Identities
    from penguind.store.backup_notes import Restored
    from penguind.store.devices import DeviceStore
    from penguind.store.operators import OperatorStore
    from penguindome.certs import CertificateFacts

log = logger("penguind.identity.restored")

#: The backup's time is that of its first byte, by the clock of another machine perhaps.
_SLACK = timedelta(minutes=2)


class LostCertificates:
    """Takes certificates over that were issued after the backup which the database came from.

    Args:
        restored: when the backup and the restore were; None if there was none.
        devices, operators: the records.
        identities: are told of changed records.
    """

    def __init__(
        self,
        restored: Restored | None,
        devices: DeviceStore,
        operators: OperatorStore,
        identities: Identities,
    ) -> None:
        self._restored = restored
        self._devices = devices
        self._operators = operators
        self._identities = identities

    async def take(self, kind: str, name: str, facts: CertificateFacts) -> bool:
        """Record a certificate that our authority signed, if it was lost; tells whether.

        Trust: signature, dates and name were checked before.
        """
        if not self._lost(facts):
            return False
        if kind == "device":
            taken = await self._take_device(name, facts)
        else:
            taken = await self._take_operator(name, facts)
        if taken:
            self._identities.forget(kind, name)
            log.info("Took a certificate of {} {} over, issued after the backup", kind, name)
        return taken

    def _lost(self, facts: CertificateFacts) -> bool:
        if self._restored is None:
            return False
        issued = facts.not_before + BACKDATE
        return self._restored.backup_time - _SLACK <= issued <= self._restored.restored_time

    async def _take_device(self, device_id: str, facts: CertificateFacts) -> bool:
        device = await self._devices.get(device_id)
        if device is None or device.state != "active" or facts.serial in device.serials:
            return False
        known = device.certificate_expires_time
        if known is not None and facts.not_after <= known:
            return False
        pending = None if facts.spki == device.spki else facts.spki
        return await self._devices.add_certificate(
            device_id, facts.serial, facts.not_after, pending
        )

    async def _take_operator(self, name: str, facts: CertificateFacts) -> bool:
        operator = await self._operators.get(name)
        if operator is None or operator.revoked or facts.serial in operator.serials:
            return False
        if facts.not_after <= operator.certificate_expires_time:
            return False
        return await self._operators.add_certificate(
            name, facts.spki, facts.serial, facts.not_after
        )
