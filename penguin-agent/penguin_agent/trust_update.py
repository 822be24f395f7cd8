"""Fetch newer trust documents, and know where the bootstrap listener is and who vouches for it."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING

from penguin_agent.bootstrap import Address, BootstrapClient
from penguin_agent.trust_store import verified

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from penguin_agent.identity import Device
    from penguin_agent.trust_store import TrustStore
    from penguindome.envelope import Envelope
    from penguindome.trust_document import TrustDocument


def address_of(device: Device, document: TrustDocument | None = None) -> Address:
    """Return where the bootstrap listener is, with the anchors that the fleet trusts now."""
    return Address(device.host, device.bootstrap_port, anchors_pem(device, document))


def anchors_pem(device: Device, document: TrustDocument | None) -> bytes:
    """Return the trust document's anchors; the token's own before there is a document."""
    anchors = document.tls_anchors if document is not None else ()
    return "".join(map(ssl.DER_cert_to_PEM_cert, anchors or (device.anchor_der,))).encode()


async def update_trust(store: TrustStore, device: Device, now: datetime) -> TrustDocument | None:
    """Fetch newer trust documents, verify and keep them; returns the newest.

    Raises:
        Forbidden: The chain does not lead from what is held to its end.
        Unavailable: The server cannot be reached.
    """
    current = store.newest()
    async with BootstrapClient(address_of(device, current)) as client:
        chain = await client.trust_chain(current.version if current else 0)
    pinned_hash = bytes.fromhex(device.trust_hash)
    newest, believed = await verified_chain(
        chain, pinned_hash=pinned_hash, current=current, now=now
    )
    store.keep(believed)
    return newest


async def verified_chain(
    chain: Sequence[Envelope],
    *,
    pinned_hash: bytes,
    current: TrustDocument | None,
    now: datetime,
) -> tuple[TrustDocument | None, tuple[Envelope, ...]]:
    """Verify a chain in a thread, as gpgv runs for each signature."""
    return await asyncio.to_thread(
        verified, chain, current=current, pinned_hash=pinned_hash, now=now
    )
