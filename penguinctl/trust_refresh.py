"""The trust documents that are pinned here, once the server was asked for newer ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from penguinctl.app import App
    from penguinctl.trust_store import TrustStore


def refreshed(app: App) -> TrustStore:
    """Return the pinned trust documents, the server's newer ones verified and added."""
    from penguinctl.trust_store import TrustStore  # noqa: PLC0415 -- --help stays quick

    store = TrustStore(app.folder)
    store.refresh(app.session, app.now)
    return store
