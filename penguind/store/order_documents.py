"""Targets of orders between the domain and their documents."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from penguind.domain.order import UNFINISHED, Target
from penguindome.orders.receipts import SealedReceipt

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Part of every update, so that watchers see it.
TOUCH: Mapping[str, Any] = {"$inc": {"revision": 1}, "$currentDate": {"changed_time": True}}
_NAMES = tuple(field.name for field in fields(Target) if field.name not in {"receipt", "paths"})
_HEARD = (
    "state", "reason", "code", "exit_code", "stdout_kept", "stderr_kept", "truncated", "details",
    "started_time", "ended_time", "vouched", "number",
)  # fmt: skip


def before(one: Target) -> dict[str, Any]:
    """Return what a record has to be for the word of its device to count."""
    query: dict[str, Any] = {"_id": one.key, "state": {"$in": list(UNFINISHED)}}
    return query if one.is_final else {**query, "number": {"$lt": one.number}}


def change(one: Target) -> dict[str, Any]:
    """Return the update that stores the word of its device."""
    changes: dict[str, Any] = {
        "$set": {**{name: getattr(one, name) for name in _HEARD}, "receipt": _sealed(one)},
        **TOUCH,
    }
    return {**changes, "$unset": {"paths": ""}} if one.is_final else changes


def _sealed(one: Target) -> dict[str, bytes] | None:
    if one.receipt is None:
        return None
    return {"payload": one.receipt.payload, "signature": one.receipt.signature}


def document_of(one: Target) -> dict[str, Any]:
    """Return a new record."""
    values = {name: getattr(one, name) for name in _NAMES}
    document = {"_id": one.key, **values, "receipt": _sealed(one)}
    return {**document, "paths": list(one.paths)} if one.paths else document


def target_from(found: Mapping[str, Any]) -> Target:
    """Return what a record holds."""
    values = {name: found[name] for name in _NAMES}
    receipt = found["receipt"]
    sealed = receipt and SealedReceipt(bytes(receipt["payload"]), bytes(receipt["signature"]))
    values["details"] = bytes(values["details"])
    return Target(**values, paths=tuple(found.get("paths", ())), receipt=sealed)
