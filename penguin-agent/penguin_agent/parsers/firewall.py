"""Put together what all packet filters of this machine do with unsolicited inbound packets.

A packet passes only if every filter lets it, so one that refuses by default is enough. The answer
is per IP version: a host that refuses IPv4 and takes everything by IPv6 is open.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguin_agent.parsers import iptables, nft
from penguin_agent.parsers.netfilter import Outcome, best
from penguin_agent.parsers.tools import Answer, Run, read_text
from penguindome.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

_WORDS = {Outcome.CLOSED: "on", Outcome.OPEN: "off", Outcome.UNKNOWN: "unknown"}
_MOST_SETS = 32
_MANAGERS = ("ufw", "firewalld", "nftables")


@dataclass(frozen=True, slots=True)
class _Version:
    number: int
    layer: str
    save: str
    legacy_save: str
    legacy_tables: str


_VERSIONS = (
    _Version(4, "ipv4", "iptables-save", "iptables-legacy-save", "proc/net/ip_tables_names"),
    _Version(6, "ipv6", "ip6tables-save", "ip6tables-legacy-save", "proc/net/ip6_tables_names"),
)


def look(root: Path, run: Run) -> dict[str, Any]:
    """Return whether unsolicited packets are refused: status on, off or unknown, and why.

    layers: by ipv4 and ipv6 (left out when the machine has no IPv6), the status and what each
    filter says. managers: what the programs that write rules claim; evidence, no proof.
    forwarded_ports: those handed on to containers, which pass by the firewall.
    """
    document = _nft_document(_ask(run, "nft", "--json", "--terse", "list", "ruleset"))
    for name in nft.sets_of_ports(document)[:_MOST_SETS]:
        nft.fill(document, name, _nft_document(_ask(run, "nft", "--json", "list", "set", *name)))
    layers = {}
    forwarded: set[str] = set()
    for version in _VERSIONS:
        if version.number == 6 and not has_ipv6(read_text(root / "proc/net/if_inet6")):
            continue
        saved = _ask(run, version.save)
        layers[version.layer] = _layer(root, run, version, document, saved)
        forwarded |= set(iptables.forwarded_ports(saved.stdout if saved else ""))
    return {
        "status": overall([layer["status"] for layer in layers.values()]),
        "layers": layers,
        "managers": _managers(root, run),
        "forwarded_ports": sorted(forwarded),
    }


def overall(statuses: list[str]) -> str:
    """Return off if any layer is off, else unknown if any is unknown."""
    for status in ("off", "unknown"):
        if status in statuses:
            return status
    return "on" if statuses else "unknown"


def has_ipv6(if_inet6: str | None) -> bool:
    """Return whether any interface but loopback has an IPv6 address."""
    lines = (line.split() for line in (if_inet6 or "").splitlines())
    return any(words and words[-1] != "lo" for words in lines)


def _layer(
    root: Path, run: Run, version: _Version, document: Any, saved: Answer | None
) -> dict[str, Any]:
    told: dict[str, Outcome | None] = {}
    found: dict[str, Any] = {}
    if saved is not None and saved.code == 0:
        told["iptables"] = iptables.evaluate(saved.stdout, version.number)
        found["policies"] = iptables.policies(saved.stdout)
    told["nftables"] = Outcome.UNKNOWN
    if document is not None:
        seen = told.get("iptables") is not None and _is_of_nftables(saved)
        told["nftables"] = nft.evaluate(document, version.number, but_iptables=seen)
    told["iptables-legacy"] = _legacy(root, run, version)
    outcomes = [outcome for outcome in told.values() if outcome is not None]
    found["filters"] = {name: _WORDS[o] for name, o in told.items() if o is not None}
    found["status"] = _WORDS[best(outcomes)] if outcomes else "off"
    return found


def _legacy(root: Path, run: Run, version: _Version) -> Outcome | None:
    """Return what the old tables do; the tool is called only if the kernel has them loaded."""
    names = (read_text(root / version.legacy_tables) or "").split()
    if "filter" not in names:
        return None
    saved = _ask(run, version.legacy_save) or _ask(run, version.save)
    if saved is None or saved.code != 0 or _is_of_nftables(saved):
        return Outcome.UNKNOWN
    # The kernel says that the table is there: not to see it is not to know.
    return iptables.evaluate(saved.stdout, version.number) or Outcome.UNKNOWN


def _is_of_nftables(saved: Answer | None) -> bool:
    """Return whether the tool that answered keeps its rules in nftables, not in the old tables."""
    return saved is not None and "(nf_tables)" in saved.stdout.partition("\n")[0]


def _nft_document(answer: Answer | None) -> Any:
    """Return nft's JSON, None when it cannot be had: then rules may exist that nobody shows."""
    if answer is None or answer.code != 0:
        return None
    try:
        return json.loads(answer.stdout or "null")
    except (ValueError, RecursionError):
        return None


def _managers(root: Path, run: Run) -> dict[str, str]:
    """Return the state of each manager that is there: systemd's word, and ufw's own switch."""
    answer = _ask(run, "systemctl", "is-active", *_MANAGERS)
    states = answer.stdout.split() if answer else []
    found = {n: s for n, s in zip(_MANAGERS, states, strict=False) if s == "active"}
    switch = read_text(root / "etc/ufw/ufw.conf") or ""
    if any(line.strip().lower() == "enabled=yes" for line in switch.splitlines()):
        found["ufw"] = "enabled" if "ufw" not in found else "active"
    return found


def _ask(run: Run, *words: str) -> Answer | None:
    try:
        return run(*words)
    except (NotFound, Unavailable):
        return None
