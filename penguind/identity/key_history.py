"""Which keys a device had before its present one, by the proofs that it handed in at renewals.

The server needs them to know what a device signed before; operators check them for themselves.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penguindome.errors import InvalidInput
from penguindome.succession import (
    SIGNATURE_LIMIT_BYTES,
    SUCCESSION_LIMIT_BYTES,
    open_succession,
)
from penguindome.times import from_unix_ms

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penguind.domain.device import Device
    from penguind.store.successions import HeldProof, SuccessionStore
    from penguindome.succession import SealedSuccession, Succession

PROOFS_ALLOWED = 32
# Between asking for a new key and using it first a device may lose its link, or sleep.
_SLACK = timedelta(days=1)
Checked = tuple["Succession", "SealedSuccession"]


class KeyHistory:
    """Checks, keeps and reads devices' proofs.

    Args:
        proofs: where they are.
        fleet: this fleet's id.
    """

    def __init__(self, proofs: SuccessionStore, fleet: str) -> None:
        self._proofs = proofs
        self._fleet = fleet

    def check(
        self, device_id: str, proofs: Sequence[SealedSuccession], proven: bytes, wanted: bytes
    ) -> list[Checked]:
        """Return proofs that lead, one after the other, from a device's key to the one it wants.

        Args:
            device_id: the device.
            proofs: the oldest first; none from an agent that makes none.
            proven: the public key that asks.
            wanted: the public key of the request.

        Raises:
            Forbidden: `bad-succession`: a signature is wrong, or it is another device's.
            InvalidInput: they are malformed, too many, or lead elsewhere.
        """
        _check_sizes(proofs)
        if not proofs:
            return []
        opened = [
            (open_succession(one, fleet=self._fleet, device_id=device_id), one) for one in proofs
        ]
        leads_to = [said.former for said, _ in opened[1:]] + [wanted]
        for (said, _), expected in zip(opened, leads_to, strict=True):
            if said.following != expected:
                raise _elsewhere()
        if opened[-1][0].former != proven:
            raise _elsewhere()
        return opened

    async def keep(self, checked: Sequence[Checked], now: datetime) -> None:
        """Store what was checked; those before the last one only where they are missing."""
        for said, sealed in checked[:-1]:
            await self._proofs.add(said, sealed, min(from_unix_ms(said.time_unix_ms), now))
        for said, sealed in checked[-1:]:
            await self._proofs.put(said, sealed, now)

    async def leading_to(self, device: Device) -> list[SealedSuccession]:
        """Return the proofs that lead to a device's present key, the newest first."""
        return [one.sealed for one in await self._chain(device.device_id, device.spki)]

    async def keys_since(
        self, device_id: str, present: Sequence[bytes], time: datetime
    ) -> list[bytes]:
        """Return the public keys that a device had at or after a time.

        Args:
            device_id: the device.
            present: those that it has now.
            time: by the server's clock; what a key signed shortly before its end may come late.
        """
        found = list(present)
        for spki in present:
            for one in await self._chain(device_id, spki):
                if one.renewed_time + _SLACK < time:
                    break
                found.append(one.former)
        return list(dict.fromkeys(found))

    async def _chain(self, device_id: str, spki: bytes) -> list[HeldProof]:
        leading = {one.following: one for one in await self._proofs.of_device(device_id)}
        chain = []
        while (one := leading.pop(spki, None)) is not None:
            chain.append(one)
            spki = one.former
        return chain


def _check_sizes(proofs: Sequence[SealedSuccession]) -> None:
    if len(proofs) > PROOFS_ALLOWED or any(
        len(one.payload) > SUCCESSION_LIMIT_BYTES
        or max(len(one.former_signature), len(one.following_signature)) > SIGNATURE_LIMIT_BYTES
        for one in proofs
    ):
        raise InvalidInput("the proofs of keys are too many or too large", code="bad-succession")


def _elsewhere() -> InvalidInput:
    return InvalidInput("the proofs of keys lead to another key", code="bad-succession")
