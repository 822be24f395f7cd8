"""Read `ip -json addr`. Source: ip-address(8), iproute2 6.1.

What comes and goes without meaning is left out: loopback, interfaces of containers and virtual
machines, temporary (privacy) and not yet valid IPv6 addresses.
"""

from __future__ import annotations

import ipaddress
from fnmatch import fnmatchcase
from typing import Any

_PASSED_OVER = (
    *("lo*", "docker*", "br-*", "veth*", "virbr*", "vnet*", "lxcbr*", "lxdbr*", "incusbr*"),
    *("podman*", "cni*", "flannel*", "cali*", "cilium*", "ifb*", "dummy*", "tap*", "macvtap*"),
)
_FAMILIES = {"inet": "2", "inet6": "10"}
_LINK = "17"
_FLAPPING = ("temporary", "tentative", "deprecated", "dadfailed")


def by_device(document: Any) -> dict[str, dict[str, list[dict[str, str]]]]:
    """Return the addresses by device and address family (2 IPv4, 10 IPv6, 17 hardware)."""
    found = {}
    for device in _devices(document):
        families: dict[str, list[dict[str, str]]] = {}
        # Wi-Fi that is not connected changes its address with every scan: the card's own stays.
        own = device.get("permaddr") or device.get("address")
        link = {"addr": own, "broadcast": device.get("broadcast")}
        if isinstance(link["addr"], str):
            families[_LINK] = [_texts(link)]
        for entry in _entries(device):
            address = _address(entry)
            if address:
                families.setdefault(_FAMILIES[entry["family"]], []).append(address)
        if families:
            for listed in families.values():
                listed.sort(key=lambda address: address["addr"])
            found[str(device["ifname"])] = families
    return found


def global_addresses(document: Any) -> dict[str, str]:
    """Return the first global IPv4 and IPv6 address of the machine itself, by "4" and "6"."""
    found: dict[str, list[str]] = {"4": [], "6": []}
    for device in by_device(document).values():
        for version, family in (("4", "2"), ("6", "10")):
            found[version] += [
                a["addr"]
                for a in device.get(family, [])
                if ipaddress.ip_address(a["addr"]).is_global
            ]
    return {version: min(addresses) for version, addresses in found.items() if addresses}


def _devices(document: Any) -> list[dict[str, Any]]:
    if not isinstance(document, list):
        return []
    return [
        device
        for device in document
        if isinstance(device, dict)
        and isinstance(name := device.get("ifname"), str)
        and not any(fnmatchcase(name, pattern) for pattern in _PASSED_OVER)
    ]


def _entries(device: dict[str, Any]) -> list[dict[str, Any]]:
    listed = device.get("addr_info")
    return [
        entry
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict)
        and str(entry.get("family")) in _FAMILIES
        and not any(entry.get(flag) for flag in _FLAPPING)
    ]


def _address(entry: dict[str, Any]) -> dict[str, str] | None:
    try:
        interface = ipaddress.ip_interface(f"{entry.get('local')}/{entry.get('prefixlen')}")
    except ValueError:
        return None
    netmask = str(interface.network.netmask)
    return _texts(
        {"addr": str(interface.ip), "netmask": netmask, "broadcast": entry.get("broadcast")}
    )


def _texts(values: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in values.items() if isinstance(value, str)}
