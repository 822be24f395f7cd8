"""A row of the ledger."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One administrative act. `details` is canonical JSON; hashes as in penguindome/chain.py."""

    number: int
    time_unix_ms: int
    actor: str
    action: str
    target: str
    details: bytes
    previous_hash: bytes
    hash: bytes
