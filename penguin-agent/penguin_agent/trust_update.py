"""Fetch newer trust documents; know where the bootstrap listener is, and who vouches for it."""

from __future__ import annotations

import asyncio
import ssl
from typing import TYPE_CHECKING, TypeVar

from penguin_agent.addresses import Addresses
from penguin_agent.bootstrap import Address, BootstrapClient
from penguin_agent.trust_store import verified
from penguindome.errors import PenguinDomeError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from datetime import datetime

    from penguin_agent.identity import Device
    from penguin_agent.trust_store import TrustStore
    from penguindome.envelope import Envelope
    from penguindome.trust_document import TrustDocument

_T = TypeVar("_T")


def bootstrap_addresses(device: Device, store: TrustStore) -> list[Address]:
    """Return where the bootstrap listener may be, with the anchors that the fleet trusts now."""
    anchors = anchors_pem(device, store.newest())
    found = Addresses(store).candidates(device)
    return [Address(one.host, one.bootstrap_port, anchors) for one in found]


async def at_any(
    addresses: Sequence[Address], act: Callable[[BootstrapClient], Awaitable[_T]]
) -> _T:
    """Do something at the first address where it succeeds.

    Raises:
        PenguinDomeError: What a server said, or else why the first one cannot be reached.
    """
    errors: list[PenguinDomeError] = []
    for address in addresses:
        try:
            async with BootstrapClient(address) as client:
                return await act(client)
        except PenguinDomeError as error:
            errors.append(error)
    raise most_telling(errors)


def most_telling(errors: Sequence[PenguinDomeError]) -> PenguinDomeError:
    """Return what a server said, or else why the first one cannot be reached."""
    said = [error for error in errors if not isinstance(error, Unavailable)]
    return [*said, *errors][0]


def token_address(device: Device) -> Address:
    """Return where the token says that the bootstrap listener is, and whom it vouches for."""
    return Address(device.host, device.bootstrap_port, anchors_pem(device, None))


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
    version = current.version if current else 0
    addresses = bootstrap_addresses(device, store)
    chain = await at_any(addresses, lambda client: client.trust_chain(version))
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
