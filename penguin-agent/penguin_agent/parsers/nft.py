"""Read `nft --json list ruleset` into rules.

Source: libnftables-json(5), nftables 1.0.9. Sets are not listed with --terse, as they can be large:
those of ports are asked for one by one; into another named set or map we cannot see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguin_agent.parsers import iptables
from penguin_agent.parsers.netfilter import (
    Chains,
    Condition,
    Outcome,
    Rule,
    best,
    both_protocols,
)
from penguin_agent.parsers.nft_match import conditions_of, implied, listed

if TYPE_CHECKING:
    from collections.abc import Iterator

_FAMILIES = {4: ("ip", "inet", "netdev"), 6: ("ip6", "inet", "netdev")}
_HOOKS = ("input", "prerouting", "ingress")
# Statements that neither decide nor restrict.
_PLAIN = frozenset(
    {"counter", "log", "mangle", "notrack", "comment", "ct helper", "ct timeout", "dup"}
)
_ACTIVE_TABLE_FLAGS = frozenset({"owner", "persist"})
_VERDICTS = ("accept", "drop", "return", "jump", "goto", "queue", "reject")


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A chain that the kernel calls for inbound packets."""

    family: str
    table: str
    name: str
    policy: str
    hook: str

    @property
    def is_early(self) -> bool:
        """Return whether packets that only pass through the machine come here as well."""
        return self.hook != "input"

    @property
    def is_of_one_card(self) -> bool:
        """Return whether it is bound to network cards, which nft 1.0.6 does not name."""
        return self.hook == "ingress"

    @property
    def is_of_iptables(self) -> bool:
        """Return whether iptables-nft keeps its INPUT chain here."""
        return self.family in ("ip", "ip6") and (self.table, self.name) == ("filter", "INPUT")


def evaluate(document: Any, version: int, *, but_iptables: bool = False) -> Outcome | None:
    """Return what all inbound base chains for IPv4 or IPv6 do together, None without any.

    `but_iptables` leaves out the chain that iptables-save shows better: to nft, the matches of
    iptables are opaque.
    """
    items = _items(document)
    sleeping = {
        (str(t.get("family")), str(t.get("name"))) for t in _of(items, "table") if not _is_active(t)
    }
    outcomes = []
    for base in _base_chains(items):
        if base.family not in _FAMILIES[version] or (base.family, base.table) in sleeping:
            continue
        if but_iptables and base.is_of_iptables:
            continue
        chains = Chains(_table_rules(items, base.family, base.table))
        outcome = both_protocols(chains, base.name, base.policy, version)
        if base.is_early:
            # It counts only when it closes: what it takes comes to the other chains.
            if outcome is not Outcome.CLOSED:
                continue
            outcome = Outcome.UNKNOWN if base.is_of_one_card else outcome
        outcomes.append(outcome)
    return best(outcomes) if outcomes else None


def sets_of_ports(document: Any) -> list[tuple[str, str, str]]:
    """Return family, table and name of the sets that hold ports, whose elements decide."""
    sets = [s for s in _of(_items(document), "set") if s.get("type") == "inet_service"]
    return [(str(s.get("family")), str(s.get("table")), str(s.get("name"))) for s in sets]


def fill(document: Any, name: tuple[str, str, str], answer: Any) -> None:
    """Put the elements of a set, as `nft list set` shows them, in the place of its name."""
    family, table, short = name
    found = [s.get("elem", []) for s in _of(_items(answer), "set") if s.get("name") == short]
    for rule in _of(_items(document), "rule") if found else ():
        if (rule.get("family"), rule.get("table")) != (family, table):
            continue
        for expression in listed(rule.get("expr")):
            match = expression.get("match") if isinstance(expression, dict) else None
            if isinstance(match, dict) and match.get("right") == f"@{short}":
                match["right"] = {"set": found[0]}


def _items(document: Any) -> list[dict[str, Any]]:
    items = document.get("nftables") if isinstance(document, dict) else None
    return [i for i in items if isinstance(i, dict)] if isinstance(items, list) else []


def _of(items: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    return (item[kind] for item in items if isinstance(item.get(kind), dict))


def _is_active(table: dict[str, Any]) -> bool:
    """Return False for a dormant table; nft 1.0.6 prints other words for that flag."""
    flags = table.get("flags", [])
    return set(map(str, listed(flags))) <= _ACTIVE_TABLE_FLAGS


def _base_chains(items: list[dict[str, Any]]) -> list[BaseChain]:
    return [
        BaseChain(*(str(c.get(key, "")) for key in ("family", "table", "name", "policy", "hook")))
        for c in _of(items, "chain")
        if c.get("hook") in _HOOKS and c.get("type") == "filter"
    ]


def _table_rules(
    items: list[dict[str, Any]], family: str, table: str
) -> dict[str, tuple[Rule, ...]]:
    rules: dict[str, tuple[Rule, ...]] = {
        str(c.get("name")): ()
        for c in _of(items, "chain")
        if (c.get("family"), c.get("table")) == (family, table)
    }
    for item in _of(items, "rule"):
        if (item.get("family"), item.get("table")) == (family, table):
            name = str(item.get("chain"))
            rules[name] = (*rules.get(name, ()), *_rules(listed(item.get("expr"))))
    return rules


def _rules(expressions: list[Any]) -> list[Rule]:
    """Return one rule, or several for a verdict map."""
    conditions: list[Condition] = []
    for expression in expressions:
        if not isinstance(expression, dict) or len(expression) != 1:
            return [Rule((Condition("opaque"),), "accept")]
        ((kind, body),) = expression.items()
        if kind in _VERDICTS:
            return [_decided(conditions, kind, body)]
        if kind == "vmap":
            return _mapped(conditions, body)
        if kind == "xt" and isinstance(body, dict) and body.get("type") == "target":
            return [_foreign(conditions, str(body.get("name")))]
        if kind not in _PLAIN:
            conditions += conditions_of(kind, body)
    is_foreign = any(isinstance(e, dict) and "xt" in e for e in expressions[-1:])
    return [Rule(tuple(conditions), "accept" if is_foreign else "")]


def _decided(conditions: list[Condition], kind: str, body: Any) -> Rule:
    target = str(body.get("target", "")) if isinstance(body, dict) else ""
    return Rule(tuple(conditions), "drop" if kind == "reject" else kind, target)


def _foreign(conditions: list[Condition], name: str) -> Rule:
    """Return the rule of an iptables target that nft only knows by name."""
    if name in iptables.TARGETS:
        return Rule(tuple(conditions), iptables.TARGETS[name])
    if name in iptables.PASSING:
        return Rule(tuple(conditions), "")
    return Rule((*conditions, Condition("opaque")), "accept")


def _mapped(conditions: list[Condition], body: Any) -> list[Rule]:
    data = body.get("data") if isinstance(body, dict) else None
    pairs = data.get("set") if isinstance(data, dict) else None
    if not isinstance(pairs, list):
        return [Rule((*conditions, Condition("opaque")), "accept")]
    rules = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2:
            continue
        key = body.get("key")
        match = {"op": "==", "left": key, "right": pair[0]}
        inner = implied(key) if pair[0] == "*" else conditions_of("match", match)
        verdict = pair[1] if isinstance(pair[1], dict) else {}
        kind = next((k for k in verdict if k in _VERDICTS), "")
        rules.append(_decided([*inner, *conditions], kind, verdict.get(kind)))
    return rules
