"""Read iptables-save and ip6tables-save into rules.

Source: iptables-save(8), iptables-extensions(8) 1.8.10.
"""

from __future__ import annotations

import shlex
from typing import Protocol

from penguin_agent.parsers import reach
from penguin_agent.parsers.netfilter import Chains, Condition, Outcome, Rule, both_protocols

TARGETS = {
    "ACCEPT": "accept",
    "DROP": "drop",
    "REJECT": "drop",
    "TARPIT": "drop",
    "RETURN": "return",
    "QUEUE": "queue",
    "NFQUEUE": "queue",
}
PASSING = frozenset(
    {"LOG", "NFLOG", "MARK", "CONNMARK", "SECMARK", "CONNSECMARK", "CT", "AUDIT", "TRACE", "SET"}
)
_PASSIVE_OPTIONS = frozenset({"--comment", "-c"})
_PAIRED_OPTIONS = frozenset({"--tcp-flags", "--match-set"})
# Modules that restrict nothing by themselves: their options do. Others (socket) may need none.
_PLAIN_MODULES = frozenset(
    {
        *("tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmp6", "icmpv6", "comment", "state"),
        *("conntrack", "multiport", "addrtype", "limit", "iprange", "mac", "hl", "ttl", "rt"),
    }
)


class _Reader(Protocol):
    def __call__(self, value: str, *, negated: bool) -> Condition: ...


def evaluate(text: str, version: int) -> Outcome | None:
    """Return what the INPUT chain does, None when the filter table is not there."""
    policies, rules = _filter_table(text)
    if "INPUT" not in policies:
        return None
    chains = Chains({name: tuple(listed) for name, listed in rules.items()})
    return both_protocols(chains, "INPUT", policies["INPUT"].lower(), version)


def policies(text: str) -> dict[str, str]:
    """Return the policy of each built-in chain of the filter table, as iptables spells it."""
    return {chain: policy for chain, policy in _filter_table(text)[0].items() if policy != "-"}


def forwarded_ports(text: str) -> tuple[str, ...]:
    """Return the ports that are handed on to containers: they pass by the INPUT chain."""
    found = set()
    for line in text.splitlines():
        words = _split(line)
        if "DNAT" in words and "--dport" in words[:-1]:
            protocol = words[words.index("-p") + 1] if "-p" in words[:-1] else "any"
            found.add(f"{words[words.index('--dport') + 1]}/{protocol}")
    return tuple(sorted(found))


def _filter_table(text: str) -> tuple[dict[str, str], dict[str, list[Rule]]]:
    found: dict[str, str] = {}
    rules: dict[str, list[Rule]] = {}
    table = ""
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
        elif table != "filter":
            continue
        elif line.startswith(":") and len(words := line[1:].split()) >= 2:
            found[words[0]] = words[1]
            rules.setdefault(words[0], [])
        elif len(words := _split(line)) >= 2 and words[0] == "-A":
            rules.setdefault(words[1], []).append(_rule(words[2:]))
    return found, rules


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return []


def _rule(words: list[str]) -> Rule:
    conditions: list[Condition] = []
    verdict, target = "", ""
    negated = False
    index = 0
    while index < len(words):
        option = words[index]
        width = 2 if option in _PAIRED_OPTIONS else 1
        value = " ".join(words[index + 1 : index + 1 + width])
        if option == "!":
            negated, index = True, index + 1
            continue
        if option in ("-j", "-g"):
            verdict, target = _target(option, value)
            break
        if option not in _PASSIVE_OPTIONS:
            conditions.append(_CONDITIONS.get(option, _unknown)(value, negated=negated))
        negated = False
        index += 1 + width if value and not value.startswith("-") and value != "!" else 1
    return Rule(tuple(conditions), verdict, target)


def _target(option: str, name: str) -> tuple[str, str]:
    if name in TARGETS:
        return TARGETS[name], ""
    if name in PASSING:
        return "", ""
    return ("jump" if option == "-j" else "goto"), name


def _unknown(value: str, *, negated: bool) -> Condition:
    del value, negated
    return Condition("opaque")


def _specific(value: str, *, negated: bool) -> Condition:
    del value
    return Condition("specific", negated=negated)


def _module(value: str, *, negated: bool) -> Condition:
    del negated
    return Condition("always" if value in _PLAIN_MODULES else "opaque")


def _sender(value: str, *, negated: bool) -> Condition:
    return reach.sender(value.split(","), negated=negated)


def _receiver(value: str, *, negated: bool) -> Condition:
    return reach.receiver(value.split(","), negated=negated)


def _flags(value: str, *, negated: bool) -> Condition:
    mask, _, wanted = value.partition(" ")
    return reach.flags(mask.split(","), wanted.split(","), negated=negated)


def _state(value: str, *, negated: bool) -> Condition:
    return Condition("state", tuple(value.lower().split(",")), negated)


def _interface(value: str, *, negated: bool) -> Condition:
    return Condition("interface", (f"{value[:-1]}*" if value.endswith("+") else value,), negated)


def _ports(value: str, *, negated: bool) -> Condition:
    ranges = tuple(_range(part) for part in value.split(","))
    return Condition("ports", ranges, negated)


def _range(part: str) -> str:
    first, found, last = part.partition(":")
    return f"{first or 0}-{last or 65535}" if found else part


def _address_type(value: str, *, negated: bool) -> Condition:
    return Condition("always" if ("LOCAL" in value.split(",")) != negated else "never")


def _protocol(value: str, *, negated: bool) -> Condition:
    return Condition("protocol", (value.lower(),), negated)


def _limit(value: str, *, negated: bool) -> Condition:
    del value, negated
    return Condition("maybe")


_CONDITIONS: dict[str, _Reader] = {
    "-i": _interface,
    "-p": _protocol,
    "--state": _state,
    "--ctstate": _state,
    "--dport": _ports,
    "--dports": _ports,
    "--dst-type": _address_type,
    "--limit": _limit,
    "--limit-burst": _limit,
    "--sport": _ports,
    "--sports": _ports,
    "--ports": _ports,
    "-m": _module,
    "--match": _module,
    "-s": _sender,
    "--src-range": _sender,
    "-d": _receiver,
    "--dst-range": _receiver,
    "--tcp-flags": _flags,
    **dict.fromkeys(("--mac-source", "--icmp-type", "--icmpv6-type"), _specific),
    **dict.fromkeys(("--hl-eq", "--rt-type"), _specific),
}
