"""The process that wipes: `STATE_DIR ORDER_ID`. Nothing but a signed order makes it act.

It verifies the order again, with the device's own identity and trust document, as the agent did.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from penguin_agent.environment import clean_environment
from penguin_agent.identity import read_device
from penguin_agent.parsers.tools import run
from penguin_agent.trust_store import TrustStore
from penguin_agent.wipe.job import Job, Phase, Result
from penguin_agent.wipe.levels import Wipe
from penguin_agent.wipe.machine import Machine
from penguin_agent.wipe.plan import make_plan
from penguin_agent.wipe.telling import fitting
from penguin_agent.wipe.volumes import Volumes
from penguindome.errors import Forbidden, PenguinDomeError, PreconditionFailed
from penguindome.names import clean_hostname
from penguindome.orders.bodies import WipeBody
from penguindome.orders.opening import Opened, hostname_of, open_order
from penguindome.times import utc_now

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguindome.envelope import Envelope

_ROOT = Path("/")
_SEEN_SECONDS = 10
# An agent that is offline, or was ended, does not hold the machine's end up for longer.
_DELIVERED_SECONDS = 120


def main(arguments: Sequence[str]) -> int:
    """Act on one order; returns the exit code."""
    os.umask(0o077)
    kept = clean_environment(os.environ)
    os.environ.clear()
    os.environ.update(kept)
    try:
        state_dir, order_id = arguments
        job = Job(Path(state_dir), order_id)
        envelope = job.begin()
    except (ValueError, PenguinDomeError) as error:
        sys.stderr.write(f"penguin-wipe: {error}\n")
        return 1
    try:
        result, body = _act(job, envelope)
    except PenguinDomeError as error:
        result, body = Result("failed", error.reason, error.code), None
    except Exception as error:  # noqa: BLE001 -- whatever happened, the receipt has to say so
        result, body = Result("failed", f"it broke off: {error!r}"[:1000], "internal"), None
    phase = job.phase()
    if result.state != "succeeded" and not result.details and phase is not None:
        result = Result(result.state, result.reason, result.code, phase.details)
    job.finish(result)
    if body is not None and body.reboot:
        job.wait_for("delivered", _DELIVERED_SECONDS)
        Machine(run).go_down(off=body.level == "crypto-erase")
    return 0


def _act(job: Job, envelope: Envelope) -> tuple[Result, WipeBody | None]:
    """Plan, or wipe; the body comes back only where the machine may have to go down."""
    opened, body = _verified(job, envelope)
    if opened.kind.name == "wipe-plan":
        plan = make_plan(_ROOT, body.level, run)
        details = fitting(lambda limit: {"plan": plan.to_json(limit)})
        return Result("succeeded", details=details), None
    job.alone()
    plan = make_plan(_ROOT, body.level, run)
    wipe = Wipe(opened, plan, Machine(run), Volumes(_ROOT, run), job.note)
    job.note(Phase("planned", wipe.details()))
    job.wait_for("seen", _SEEN_SECONDS)
    if not job.pass_point():
        return Result(
            "cancelled", "it was called off before anything was wiped", "called-off"
        ), None
    return wipe.carry_out(), body


def _verified(job: Job, envelope: Envelope) -> tuple[Opened, WipeBody]:
    """Return what the order says, if it says it to this device now.

    Raises:
        Forbidden: It does not; as `open_order`, or `hostname-differs`, `wrong-targets`.
        PreconditionFailed: This device is not enrolled.
    """
    device = read_device(job.state_dir / "identity/device.json")
    trust = TrustStore(job.state_dir / "trust").newest()
    if device is None or not device.device_id or trust is None:
        raise PreconditionFailed("this device is not enrolled", code="not-enrolled")
    opened = open_order(
        envelope, trust=trust, fleet=device.fleet, device_id=device.device_id, now=utc_now()
    )
    if opened.payload.id != job.order_id or not isinstance(opened.body, WipeBody):
        raise Forbidden("the order is refused: it is another one", code="wrong-targets")
    if hostname_of(opened, device.device_id) != clean_hostname(socket.gethostname()):
        raise Forbidden("the order is refused: the hostname differs", code="hostname-differs")
    return opened, opened.body
