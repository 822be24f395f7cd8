"""Where the server is: what the trust document says, and which of its addresses worked last.

Trust: the signed document and the token alone name addresses. The file only remembers which of
these to try first; an address in it that neither names is passed over.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.identity import read_file
from penguindome.durable import write_file
from penguindome.errors import LimitExceeded
from penguindome.trust_document import ServerAddress

if TYPE_CHECKING:
    from penguin_agent.identity import Device
    from penguin_agent.trust_store import TrustStore

log = Logger(__name__)


class Addresses:
    """The addresses to try, in order."""

    def __init__(self, trust: TrustStore) -> None:
        self._trust = trust
        self._path = trust.address_path

    def candidates(self, device: Device) -> list[ServerAddress]:
        """Return the one that worked last, then the document's in its order, then the token's."""
        document = self._trust.newest()
        ours = document is not None and document.fleet == device.fleet
        named = document.server_addresses if document is not None and ours else ()
        own = ServerAddress(device.host, device.main_port, device.bootstrap_port)
        allowed = list(dict.fromkeys((*named, own)))
        last = self._last()
        return [last, *(one for one in allowed if one != last)] if last in allowed else allowed

    def worked(self, address: ServerAddress) -> None:
        """Remember an address, durably; on a full disk the order stays as it was."""
        if address == self._last():
            return
        try:
            write_file(self._path, json.dumps(asdict(address)).encode())
        except LimitExceeded as error:
            log.warning("The server's address cannot be kept: {}", error)

    def in_use(self, device: Device) -> str:
        """Return the address to try first, for people."""
        first = self.candidates(device)[0]
        return f"{first.host}:{first.main_port}"

    def _last(self) -> ServerAddress | None:
        try:
            return ServerAddress(**json.loads(read_file(self._path) or b"null"))
        except (ValueError, TypeError):
            return None
