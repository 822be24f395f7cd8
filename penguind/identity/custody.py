"""What operators do to devices' identities: approve, revoke, delete, label."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penguind.domain.device import Approval, Device
from penguindome.envelope import Envelope, open_envelope
from penguindome.errors import Forbidden, InvalidInput, NotFound, PreconditionFailed
from penguindome.names import valid_label

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from penguind.identity.identities import Identities
    from penguind.identity.trust import Trust
    from penguind.store.devices import DeviceStore

    Eraser = Callable[[str], Awaitable[object]]

_LABELS_ALLOWED = 64
_REASON_LIMIT = 500


class Custody:
    """Changes devices' records.

    `erasers` remove what other stores hold of a device; `audit` has the issues of devices looked at
    soon.
    """

    def __init__(
        self,
        *,
        devices: DeviceStore,
        identities: Identities,
        trust: Trust,
        erasers: Sequence[Eraser],
        audit: Callable[[Sequence[str]], None],
        clock: Callable[[], datetime],
    ) -> None:
        self._devices = devices
        self._identities = identities
        self._trust = trust
        self._erasers = erasers
        self._audit = audit
        self._clock = clock

    async def approve(self, device_id: str, envelope: Envelope, by: str) -> None:
        """Let a pending device in, by an envelope that binds its id to its key.

        Raises:
            NotFound: no such device.
            PreconditionFailed: it is not pending, or the fleet has no trust document.
            Forbidden: the signatures do not suffice, or are for another key.
        """
        now = self._clock()
        device = await self._existing(device_id)
        if device.state != "pending":
            raise PreconditionFailed(f"the device is {device.state}", subject=device_id)
        trust = await self._trust.required()
        payload = await asyncio.to_thread(
            open_envelope,
            envelope,
            trust=trust,
            role="approve",
            fleet=trust.fleet,
            device_id=device_id,
            now=now,
        )
        if envelope.kind != "enroll" or payload.body.get("fingerprint") != device.fingerprint:
            raise Forbidden(
                "the approval is not for this device's key",
                code="approval-key",
                subject=device_id,
                remedy="look at the device's fingerprint again, then sign again",
            )
        approval = Approval(envelope.kind, envelope.payload, envelope.signatures)
        if not await self._devices.activate(device_id, by, approval, now):
            raise PreconditionFailed("the device is not pending any more", subject=device_id)
        self._identities.forget("device", device_id)

    async def revoke(self, device_id: str, reason: str) -> None:
        """End a device's identity for good, and its live streams at once.

        Raises:
            NotFound: no such device.
        """
        now = self._clock()
        if await self._devices.revoke(device_id, reason[:_REASON_LIMIT], now) is None:
            raise _no_device(device_id)
        self._identities.revoke_device(device_id)
        self._audit([device_id])

    async def delete(self, device_id: str) -> None:
        """Remove a revoked device and everything that is stored of it.

        Raises:
            NotFound: no such device.
            PreconditionFailed: it is not revoked.
        """
        device = await self._existing(device_id)
        if device.state != "revoked":
            raise PreconditionFailed(
                f"the device is {device.state}",
                subject=device_id,
                remedy="revoke it first: penguinctl device revoke",
            )
        for eraser in self._erasers:
            await eraser(device_id)
        await self._devices.delete(device_id)
        self._identities.end("device", device_id)

    async def label(
        self, device_id: str, add: Sequence[str], remove: Sequence[str]
    ) -> tuple[str, ...]:
        """Change labels and return all of them, sorted.

        Raises:
            NotFound: no such device.
            InvalidInput: naming a word that cannot be a label, or too many labels.
        """
        check_labels(add)
        device = await self._existing(device_id)
        if len({*device.labels, *add} - set(remove)) > _LABELS_ALLOWED:
            raise InvalidInput(f"a device has at most {_LABELS_ALLOWED} labels", subject=device_id)
        labels = await self._devices.label(device_id, add, remove)
        if labels is None:
            raise _no_device(device_id)
        return labels

    async def _existing(self, device_id: str) -> Device:
        device = await self._devices.get(device_id)
        if device is None:
            raise _no_device(device_id)
        return device


def check_labels(labels: Sequence[str]) -> None:
    """Check words that become labels.

    Raises:
        InvalidInput: naming the first that cannot be one, or too many.
    """
    for label in labels:
        if not valid_label(label):
            raise InvalidInput(
                "not a label",
                subject=label[:64],
                remedy="use letters, digits, dots, dashes and underscores",
            )
    if len(labels) > _LABELS_ALLOWED:
        raise InvalidInput(f"at most {_LABELS_ALLOWED} labels at once")


def _no_device(device_id: str) -> NotFound:
    return NotFound("there is no such device", code="no-device", subject=device_id[:64])
