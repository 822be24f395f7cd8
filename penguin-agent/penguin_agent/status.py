"""What the agent says about itself: the same words from the daemon and without it.

Shape: see `Status.to_json`. Nothing secret is in it, since every local user may ask.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguindome.times import to_iso

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime, timedelta

    from penguin_agent.clock import DeviceClock
    from penguin_agent.identity import Device, Identity
    from penguindome.outputs import Output
    from penguindome.trust_document import TrustDocument


def enrollment_words(
    identity: Identity | None, waiting: Device | None, waiting_fingerprint: str, server: str = ""
) -> dict[str, Any]:
    """Return the part about who this device is.

    Args:
        identity: once the device is in.
        waiting: an application that waits for approval.
        waiting_fingerprint: of the key that waits, to be read out at approval.
        server: the address in use, where it may be another than the token's.
    """
    device = identity.device if identity else waiting
    if device is None:
        return {"enrolled": False, "pending": False}
    words = {
        "enrolled": identity is not None,
        "pending": identity is None and bool(device.device_id),
        "device_id": device.device_id,
        "fleet": device.fleet,
        "server": server or f"{device.host}:{device.main_port}",
        "approval": device.approval,
        "fingerprint": identity.facts.fingerprint if identity else waiting_fingerprint,
    }
    if identity is not None:
        words["certificate_until"] = to_iso(identity.facts.not_after)
    return words


def trust_words(document: TrustDocument | None, now: datetime) -> dict[str, Any]:
    """Return how long operators' orders count, and whether they still do."""
    if document is None:
        return {}
    return {
        "version": document.version,
        "expires_time": to_iso(document.expires_time),
        "expired": now >= document.expires_time,
    }


def output_words(outputs: Mapping[str, Output]) -> list[dict[str, Any]]:
    """Return what is collected and sent, by name; sizes instead of contents."""
    return [
        {
            "name": output.name,
            "status": output.status.value,
            "reason": output.reason,
            "bytes": len(output.json),
            "local": output.local,
            "collected_time": to_iso(output.collected_time),
        }
        for _name, output in sorted(outputs.items())
    ]


def clock_words(clock: DeviceClock) -> dict[str, Any]:
    """Return the part about the clock."""
    skew = clock.skew()
    doubt = "doubtful" if clock.is_doubtful() else "ok"
    return {
        "state": "wrong" if clock.is_wrong() else doubt,
        "skew_seconds": None if skew is None else round(skew.total_seconds()),
        "time": to_iso(clock.now()),
    }


def moment(value: datetime | None) -> str:
    """Return a time as text, "" for none."""
    return to_iso(value) if value is not None else ""


def seconds(value: timedelta) -> int:
    """Return a span in whole seconds."""
    return round(value.total_seconds())
