"""Seal what this device says about orders with its own key."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from penguindome.framing import frame
from penguindome.orders.receipts import (
    RECEIPT_LIMIT_BYTES,
    Receipt,
    SealedReceipt,
    read_receipt,
    seal,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from penguin_agent.orders.acts import Outcome


@dataclass(frozen=True, slots=True)
class Kept:
    """How many bytes of a program's output are kept."""

    stdout_bytes: int = 0
    stderr_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks, and the key that it has now, which changes when the certificate is renewed."""

    fleet: str
    device_id: str
    key_pem: Callable[[], bytes]

    def receipt(self, order_id: str, part: str, state: str, number: int, now: datetime) -> Receipt:
        """Return a receipt with nothing but a state."""
        return Receipt(self.fleet, self.device_id, order_id, state, number, now, part=part)

    def seal(self, receipt: Receipt) -> SealedReceipt:
        """Return a receipt with a signature; details that make it too large are left out."""
        sealed = seal(receipt, self.key_pem())
        if len(sealed.payload) <= RECEIPT_LIMIT_BYTES:
            return sealed
        return seal(replace(receipt, details={"left_out": "too large"}), self.key_pem())

    def again(self, sealed: SealedReceipt) -> SealedReceipt:
        """Return a receipt that was sealed with an earlier key, sealed with the present one."""
        from penguindome import keys  # noqa: PLC0415 -- heavy, and only needed once there are orders

        key_pem = self.key_pem()
        data = frame("receipt", sealed.payload)
        if keys.verify(keys.key_spki(key_pem), data, sealed.signature):
            return sealed
        return seal(read_receipt(sealed.payload), key_pem)


def worded(receipt: Receipt, outcome: Outcome, kept: Kept) -> Receipt:
    """Return a receipt with what came out of an act."""
    return replace(
        receipt,
        reason=outcome.reason,
        code=outcome.code[:64],
        exit_code=outcome.exit_code,
        truncated=outcome.truncated,
        details=dict(outcome.details),
        stdout_bytes=kept.stdout_bytes,
        stderr_bytes=kept.stderr_bytes,
    )
