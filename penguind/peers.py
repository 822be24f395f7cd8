"""Reading the address out of gRPC's peer text.

Trust: the text is gRPC's own, made from the socket; behind a proxy it is the proxy's address.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from penguind.domain.token import Address


def peer_address(peer: str) -> Address | None:
    """Return the address in `ipv4:1.2.3.4:5` or `ipv6:%5B::1%5D:5`; None for anything else."""
    scheme, _, rest = unquote(peer).partition(":")
    if scheme not in ("ipv4", "ipv6"):
        return None
    host = rest.rpartition(":")[0].strip("[]").partition("%")[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def throttle_key(address: Address | None) -> str:
    """Return what is limited together: an IPv4 address, an IPv6 /64, or everything unknown."""
    if address is None:
        return "unknown"
    if address.version == 4:
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))
