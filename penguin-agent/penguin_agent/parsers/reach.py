"""Tell how much of the network a rule's condition takes in.

A condition that most senders, or a first packet of any connection, meet is no restriction; one on
this machine's own addresses restricts like one on a network card.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

from penguin_agent.parsers.netfilter import Condition

if TYPE_CHECKING:
    from collections.abc import Collection

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# Where strangers can be: the unicast space that is handed out (RFC 4291, IANA).
_WORLD = {4: ipaddress.ip_network("0.0.0.0/0"), 6: ipaddress.ip_network("2000::/3")}
# Destinations that are not this machine alone, or that only neighbours can reach.
_SHARED = tuple(
    map(ipaddress.ip_network, ("224.0.0.0/4", "255.255.255.255/32", "ff00::/8", "fe80::/10"))
)
_FLAGS = frozenset({"fin", "syn", "rst", "psh", "ack", "urg"})


def sender(values: Collection[str], *, negated: bool) -> Condition:
    """Return the condition of a source address: half of the internet or more is everybody.

    values: addresses, networks and ranges first-last; what cannot be read (the name of a set)
    counts as a few.
    """
    share = dict.fromkeys(_WORLD, 0.0)
    for network in _networks(values):
        world = _WORLD[network.version]
        if network.version == world.version and network.overlaps(world):
            share[network.version] += min(1.0, 2.0 ** (world.prefixlen - network.prefixlen))
    if max(share.values()) >= 0.5:
        return Condition("never" if negated else "always")
    return Condition("always" if negated else "specific")


def receiver(values: Collection[str], *, negated: bool) -> Condition:
    """Return the condition of a destination address: this machine may have it, or not."""
    networks = _networks(values)
    if any(network.prefixlen == 0 for network in networks):
        return Condition("never" if negated else "always")
    if networks and all(network.is_loopback for network in networks):
        return Condition("always" if negated else "never")
    if networks and all(_is_shared(network) for network in networks):
        return Condition("always" if negated else "specific")
    return Condition("maybe")


def flags(mask: Collection[str], wanted: Collection[str], *, negated: bool) -> Condition:
    """Return the condition of TCP flags; the first packet of a connection has SYN alone."""
    first = {"syn"} & _named(mask)
    return Condition("always" if (first == _named(wanted)) != negated else "never")


def _named(names: Collection[str]) -> frozenset[str]:
    lower = frozenset(name.lower() for name in names)
    return _FLAGS if "all" in lower else lower - {"none"}


def _is_shared(network: _Network) -> bool:
    return any(
        network.version == shared.version and network.subnet_of(shared)  # type: ignore[arg-type]
        for shared in _SHARED
    )


def _networks(values: Collection[str]) -> list[_Network]:
    found: list[_Network] = []
    for value in values:
        try:
            first, ranged, last = value.partition("-")
            if ranged:
                ends = (ipaddress.ip_address(first), ipaddress.ip_address(last))
                found += ipaddress.summarize_address_range(*ends)
            else:
                found.append(ipaddress.ip_network(value, strict=False))
        except (TypeError, ValueError):
            continue
    return found
