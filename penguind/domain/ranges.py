"""Where a role may be used from: networks, in the form in which callers' addresses are compared."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

RANGES_ALLOWED = 64
# ::ffff:0:0/96; RFC 4291 section 2.5.5.2.
_MAPPED_BITS = 96


def clean_ranges(ranges: Sequence[str]) -> tuple[str, ...]:
    """Return networks in their normal spelling, sorted, each once.

    Raises:
        InvalidInput: naming the first that is none, or one whose host bits are set; too many.
    """
    if len(ranges) > RANGES_ALLOWED:
        raise InvalidInput(f"a role has at most {RANGES_ALLOWED} networks", subject="ranges")
    networks = {_network(text) for text in ranges}
    return tuple(map(str, sorted(networks, key=lambda one: (one.version, one))))


def withheld(
    roles: frozenset[str], ranges: Mapping[str, Sequence[Network]], address: Address | None
) -> frozenset[str]:
    """Return those of the roles that may not be used from an address; None is nowhere."""
    return frozenset(role for role in roles if role in ranges and not within(address, ranges[role]))


def within(address: Address | None, networks: Sequence[Network]) -> bool:
    """Tell whether an address lies in one of the networks."""
    if address is None:
        return False
    plain = getattr(address, "ipv4_mapped", None) or address
    return any(plain in network for network in networks)


def read_ranges(ranges: Sequence[str]) -> tuple[Network, ...]:
    """Return stored networks; what is none any more allows nobody."""
    networks = []
    for text in ranges:
        try:
            networks.append(_network(text))
        except InvalidInput:
            continue
    return tuple(networks)


def _network(text: str) -> Network:
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
        if ipaddress.ip_interface(text.strip()).ip != network.network_address:
            raise InvalidInput(
                "an address inside a network, not a network",
                subject=text[:64],
                remedy=f"write {network} for the network, or the address alone",
            )
    except ValueError:
        raise InvalidInput(
            "not a network", subject=text[:64], remedy="write it like 10.0.0.0/8 or 2001:db8::/32"
        ) from None
    return _unmapped(network)


def _unmapped(network: Network) -> Network:
    """Return the IPv4 network that an IPv6 one maps."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))
