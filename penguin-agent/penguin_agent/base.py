"""What there is of the agent before the device is enrolled, and stays afterwards."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from penguin_agent.addresses import Addresses
from penguin_agent.clock import DeviceClock
from penguin_agent.dead_letters import DeadLetters
from penguin_agent.identities import Identities
from penguin_agent.status import enrollment_words
from penguin_agent.trust_store import TrustStore
from penguin_agent.verdicts import VerdictFile
from penguin_agent.version import agent_version
from penguindome.names import clean_hostname

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from penguin_agent.config import Settings


class Base:
    """What there is before the device is enrolled."""

    def __init__(
        self,
        settings: Settings,
        *,
        wall: Callable[[], datetime],
        hostname: Callable[[], str] = socket.gethostname,
    ) -> None:
        state_dir = settings.paths.state_dir
        self.settings = settings
        self.version = agent_version()
        self._own_hostname = hostname
        self.clock = DeviceClock(wall)
        self.identities = Identities(state_dir / "identity", settings.paths.settings)
        self.trust = TrustStore(state_dir / "trust")
        self.addresses = Addresses(self.trust)
        self.verdicts = VerdictFile(state_dir / "verdicts.json")
        self.dead_letters = DeadLetters(state_dir / "dead-letters")

    def hostname(self) -> str:
        """Return what this device calls itself now, printable."""
        return clean_hostname(self._own_hostname())

    def enrollment_words(self) -> dict[str, Any]:
        """Return who this device is, as far as is known."""
        identity = self.identities.known
        if identity is None and (device := self.identities.enrolled()) is not None:
            words = enrollment_words(None, device, "", self.addresses.in_use(device))
            return {**words, "enrolled": True, "pending": False, "certificate_until": ""}
        waiting = None if identity else self.identities.application()
        server = self.addresses.in_use(identity.device) if identity else ""
        return enrollment_words(identity, waiting, self.identities.waiting_fingerprint, server)
