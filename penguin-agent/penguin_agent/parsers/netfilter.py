"""Decide whether a set of packet filter rules refuses unsolicited inbound packets by default.

Rules are walked as the kernel walks them, for a new TCP and a new UDP packet from the network to a
port nobody opened. An accept for one port or one sender is no default, so such rules are passed
over; a rule for one network card makes the walk go both ways, and the answer is the worst one.
Source: nft(8) 1.0.9, iptables-extensions(8) 1.8.10.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEEPEST = 16  # the kernel's own limit of nested jumps (NFT_JUMP_STACK_SIZE)
_WIDE_PORTS = 32768
# Networks inside this machine, and overlays that only authenticated peers can enter.
_INNER_INTERFACES = (
    *("lo", "docker*", "br-*", "veth*", "virbr*", "lxcbr*", "lxdbr*", "incusbr*"),
    *("podman*", "cni*", "vnet*", "tailscale*", "wg*"),
)


class When(Enum):
    """Whether a rule applies to the packet asked about."""

    ALWAYS = "always"
    NEVER = "never"
    SPECIFIC = "specific"  # to some ports or senders only
    MAYBE = "maybe"  # on some interfaces, or some of the time
    OPAQUE = "opaque"  # cannot be told


class Outcome(StrEnum):
    """What happens to the packet."""

    OPEN = "open"
    CLOSED = "closed"
    UNKNOWN = "unknown"
    NEXT = "next"
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Packet:
    """A new packet from the network; protocol is tcp or udp, version 4 or 6."""

    version: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a rule.

    kind: interface, protocol, family, ports, state, or the name of a When for the plain ones.
    values: interface names with `*`, protocol names, "4" or "6", "first-last" ports, states.
    """

    kind: str
    values: tuple[str, ...] = ()
    negated: bool = False

    def when(self, packet: Packet) -> When:
        """Return whether the condition holds for a packet."""
        match self.kind:
            case "interface":
                found = self._interface()
            case "protocol":
                found = _held(packet.protocol in self.values or "all" in self.values)
            case "family":
                found = _held(str(packet.version) in self.values)
            case "state":
                found = _held("new" in self.values)
            case "ports":
                return self._ports()
            case _:
                found = When(self.kind)
        return _NEGATED[found] if self.negated else found

    def _interface(self) -> When:
        if "*" in self.values:
            return When.ALWAYS
        inner = [any(fnmatchcase(v, pattern) for pattern in _INNER_INTERFACES) for v in self.values]
        return When.NEVER if all(inner) else When.MAYBE

    def _ports(self) -> When:
        width = sum(_width(value) for value in self.values)
        width = 65536 - width if self.negated else width
        return When.ALWAYS if width >= _WIDE_PORTS else When.SPECIFIC


_NEGATED = {
    When.ALWAYS: When.NEVER,
    When.NEVER: When.ALWAYS,
    When.SPECIFIC: When.ALWAYS,
    When.MAYBE: When.MAYBE,
    When.OPAQUE: When.OPAQUE,
}


@dataclass(frozen=True, slots=True)
class Rule:
    """Conditions, all of which must hold, and what then happens; verdict "" = nothing.

    verdict: accept, drop, return, jump, goto, queue or "".
    """

    conditions: tuple[Condition, ...]
    verdict: str
    target: str = ""

    def when(self, packet: Packet) -> When:
        """Return whether the rule applies to a packet: the weakest of its conditions."""
        found = {condition.when(packet) for condition in self.conditions}
        order = (When.NEVER, When.SPECIFIC, When.OPAQUE, When.MAYBE)
        return next((when for when in order if when in found), When.ALWAYS)


@dataclass(slots=True)
class Chains:
    """The chains of one table, and the walk through them."""

    rules: Mapping[str, tuple[Rule, ...]]
    _seen: dict[tuple[str, Packet], frozenset[Outcome]] = field(default_factory=dict)

    def base(self, name: str, policy: str, packet: Packet) -> Outcome:
        """Return the worst that can happen to a packet in a base chain."""
        outcomes = self._walk(name, packet, 0)
        if outcomes & {Outcome.NEXT, Outcome.RETURN}:
            outcomes |= {Outcome.CLOSED if policy == "drop" else Outcome.OPEN}
        return worst(outcomes)

    def _walk(self, name: str, packet: Packet, depth: int) -> frozenset[Outcome]:
        if depth > _DEEPEST or name not in self.rules:
            return frozenset({Outcome.UNKNOWN})
        if (name, packet) not in self._seen:
            self._seen[name, packet] = frozenset({Outcome.UNKNOWN})  # a loop is no answer
            self._seen[name, packet] = self._walk_rules(self.rules[name], packet, depth)
        return self._seen[name, packet]

    def _walk_rules(
        self, rules: tuple[Rule, ...], packet: Packet, depth: int
    ) -> frozenset[Outcome]:
        reached: set[Outcome] = set()
        for rule in rules:
            when = rule.when(packet)
            if when in (When.NEVER, When.SPECIFIC):
                continue
            outcomes = self._verdict(rule, packet, depth)
            if when is When.OPAQUE and outcomes & {Outcome.OPEN, Outcome.UNKNOWN}:
                outcomes = frozenset({Outcome.UNKNOWN, Outcome.NEXT})
            reached |= outcomes - {Outcome.NEXT}
            if when is When.ALWAYS and Outcome.NEXT not in outcomes:
                return frozenset(reached)
        return frozenset(reached | {Outcome.NEXT})

    def _verdict(self, rule: Rule, packet: Packet, depth: int) -> frozenset[Outcome]:
        if rule.verdict in _TERMINAL:
            return frozenset({_TERMINAL[rule.verdict]})
        if rule.verdict not in ("jump", "goto"):
            return frozenset({Outcome.NEXT})
        inside = self._walk(rule.target, packet, depth + 1)
        back = Outcome.NEXT if rule.verdict == "jump" else Outcome.RETURN
        ends = {Outcome.NEXT, Outcome.RETURN}
        return (inside - ends) | ({back} if inside & ends else frozenset())


_TERMINAL = {
    "accept": Outcome.OPEN,
    "drop": Outcome.CLOSED,
    "queue": Outcome.UNKNOWN,
    "return": Outcome.RETURN,
}


def worst(outcomes: frozenset[Outcome]) -> Outcome:
    """Return open before unknown before closed."""
    for outcome in (Outcome.OPEN, Outcome.UNKNOWN):
        if outcome in outcomes:
            return outcome
    return Outcome.CLOSED if Outcome.CLOSED in outcomes else Outcome.UNKNOWN


def both_protocols(chains: Chains, name: str, policy: str, version: int) -> Outcome:
    """Return the worst for TCP and UDP."""
    return worst(frozenset(chains.base(name, policy, Packet(version, p)) for p in ("tcp", "udp")))


def best(outcomes: list[Outcome]) -> Outcome:
    """Return what several base chains do together: a packet must pass all of them."""
    for outcome in (Outcome.CLOSED, Outcome.UNKNOWN):
        if outcome in outcomes:
            return outcome
    return Outcome.OPEN


def _held(condition: object) -> When:
    return When.ALWAYS if condition else When.NEVER


def _width(ports: str) -> int:
    first, _, last = ports.partition("-")
    if not first.isdecimal() or not (last or first).isdecimal():
        return 1
    return max(0, min(int((last or first)[:6]), 65535) - int(first[:6]) + 1)
