"""What the files say about the agent while no daemon answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguin_agent.addresses import Addresses
from penguin_agent.dead_letters import DeadLetters
from penguin_agent.identity_folder import IdentityFolder
from penguin_agent.release.folder import FOLDER, TreeFolder
from penguin_agent.status import enrollment_words
from penguin_agent.trust_store import TrustStore
from penguin_agent.version import agent_version
from penguindome.errors import Damaged

if TYPE_CHECKING:
    from pathlib import Path


def offline_status(state_dir: Path) -> dict[str, Any]:
    """Return the words of `status`; needs the right to read the files."""
    if not state_dir.exists():
        return {"running": False, "enrolled": False, "pending": False, "connected": False}
    folder = IdentityFolder(state_dir / "identity")
    identity = folder.load()
    waiting = None if identity else folder.application()
    fingerprint = folder.candidate().fingerprint if waiting else ""
    addresses = Addresses(TrustStore(state_dir / "trust"))
    server = addresses.in_use(identity.device) if identity else ""
    return {
        "version": agent_version(),
        "running": False,
        "connected": False,
        **enrollment_words(identity, waiting, fingerprint, server),
        "spool_depth": len(list((state_dir / "spool").glob("*.report"))),
        "dead_letters": DeadLetters(state_dir / "dead-letters").count(),
        "release": {"name": _release(state_dir)},
    }


def _release(state_dir: Path) -> str:
    try:
        return str(TreeFolder(state_dir / FOLDER).current())
    except Damaged:
        return "unknown"
