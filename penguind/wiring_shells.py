"""Building what joins operators with devices, and keeps what was recorded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.services.shell import ShellService
from penguind.shells.desk import ShellDesk
from penguind.shells.looking import SessionLooking
from penguind.shells.recordings import Recordings
from penguind.wiring_orders import make_looking

if TYPE_CHECKING:
    from penguind.wiring_base import Base
    from penguind.wiring_orders import Sending


@dataclass(frozen=True, slots=True)
class Shells:
    """Remote sessions; the desk's `run` has to run."""

    desk: ShellDesk
    service: ShellService


def make_shells(base: Base, sending: Sending) -> Shells:
    """Build everything of remote sessions."""
    stores = base.stores
    desk = ShellDesk(stores.orders, stores.order_targets, sending.hub)
    recordings = Recordings(
        transcripts=stores.transcripts,
        targets=stores.order_targets,
        identities=base.identities,
        history=base.key_history,
        hub=sending.hub,
        fleet=base.settings.server.fleet_id,
        clock=base.clock,
    )
    service = ShellService(
        desk=desk,
        recordings=recordings,
        looking=SessionLooking(make_looking(base), stores.transcripts, desk),
        devices=stores.devices,
        history=base.key_history,
    )
    return Shells(desk, service)
