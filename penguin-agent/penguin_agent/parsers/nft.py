"""Read `nft --json list ruleset` into rules.

Source: libnftables-json(5), nftables 1.0.9. Sets are not listed with --terse, so a named set or map
is something we cannot see into.
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

if TYPE_CHECKING:
    from collections.abc import Iterator

_FAMILIES = {4: ("ip", "inet"), 6: ("ip6", "inet")}
# Statements that neither decide nor restrict.
_PLAIN = frozenset(
    {"counter", "log", "mangle", "notrack", "comment", "ct helper", "ct timeout", "set", "dup"}
)
_ACTIVE_TABLE_FLAGS = frozenset({"owner", "persist"})
_VERDICTS = ("accept", "drop", "return", "jump", "goto", "queue", "reject")
_ICMP = frozenset({"icmp", "icmpv6", "ipv6-icmp"})


@dataclass(frozen=True, slots=True)
class BaseChain:
    """A chain that the kernel calls for inbound packets."""

    family: str
    table: str
    name: str
    policy: str

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
        if but_iptables and base.is_of_iptables:
            continue
        if base.family in _FAMILIES[version] and (base.family, base.table) not in sleeping:
            chains = Chains(_table_rules(items, base.family, base.table))
            outcomes.append(both_protocols(chains, base.name, base.policy, version))
    return best(outcomes) if outcomes else None


def _items(document: Any) -> list[dict[str, Any]]:
    items = document.get("nftables") if isinstance(document, dict) else None
    return [i for i in items if isinstance(i, dict)] if isinstance(items, list) else []


def _of(items: list[dict[str, Any]], kind: str) -> Iterator[dict[str, Any]]:
    return (item[kind] for item in items if isinstance(item.get(kind), dict))


def _is_active(table: dict[str, Any]) -> bool:
    """Return False for a dormant table; nft 1.0.6 prints other words for that flag."""
    flags = table.get("flags", [])
    return set(map(str, _listed(flags))) <= _ACTIVE_TABLE_FLAGS


def _base_chains(items: list[dict[str, Any]]) -> list[BaseChain]:
    return [
        BaseChain(*(str(c.get(key, "")) for key in ("family", "table", "name", "policy")))
        for c in _of(items, "chain")
        if c.get("hook") == "input" and c.get("type") == "filter"
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
            rules[name] = (*rules.get(name, ()), *_rules(_listed(item.get("expr"))))
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
            conditions.append(_condition(kind, body))
    return [Rule(tuple(conditions), "")]


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
        match = {"op": "==", "left": body.get("key"), "right": pair[0]}
        inner = [_condition("match", match), *conditions]
        verdict = pair[1] if isinstance(pair[1], dict) else {}
        kind = next((k for k in verdict if k in _VERDICTS), "")
        rules.append(_decided(inner, kind, verdict.get(kind)))
    return rules


def _condition(kind: str, body: Any) -> Condition:
    if kind == "limit":
        return Condition("maybe")
    if kind != "match" or not isinstance(body, dict) or not isinstance(body.get("left"), dict):
        return Condition("opaque")
    left, right = body["left"], body.get("right")
    negated = body.get("op") == "!="
    if isinstance(left.get("payload"), dict):
        return _payload_condition(
            left["payload"], _port_operand(body.get("op"), right), negated=negated
        )
    for key, reader in (("meta", _meta_condition), ("ct", _ct_condition), ("fib", _fib_condition)):
        if isinstance(left.get(key), dict):
            return reader(left[key], _words(right), negated=negated)
    return Condition("opaque")


def _payload_condition(
    payload: dict[str, Any], words: tuple[str, ...], *, negated: bool
) -> Condition:
    protocol, fieldname = str(payload.get("protocol")), str(payload.get("field"))
    if protocol in _ICMP:
        return Condition("never")
    if fieldname in ("protocol", "nexthdr"):
        return Condition("protocol", words, negated)
    if fieldname == "dport" and protocol in ("tcp", "udp", "th", "udplite", "sctp", "dccp"):
        return Condition("ports", words, negated)
    return Condition("specific")


def _meta_condition(meta: dict[str, Any], words: tuple[str, ...], *, negated: bool) -> Condition:
    key = meta.get("key")
    if key in ("iifname", "iif"):
        return Condition("interface", words, negated)
    if key == "l4proto":
        return Condition("protocol", words, negated)
    if key in ("nfproto", "protocol"):
        versions = {"ipv4": "4", "ip": "4", "ipv6": "6", "ip6": "6"}
        return Condition("family", tuple(versions.get(w, w) for w in words), negated)
    if key == "pkttype":
        return Condition("always" if ("host" in words) != negated else "never")
    return Condition("opaque")


def _ct_condition(ct: dict[str, Any], words: tuple[str, ...], *, negated: bool) -> Condition:
    key = ct.get("key")
    if key == "state":
        return Condition("state", words, negated)
    if key == "status":
        return Condition("always" if negated else "never")
    return Condition("opaque")


def _fib_condition(fib: dict[str, Any], words: tuple[str, ...], *, negated: bool) -> Condition:
    """Route look-ups: our packet is for this machine, from where it could be answered."""
    if fib.get("result") == "type" and "daddr" in _listed(fib.get("flags")):
        return Condition("always" if ("local" in words) != negated else "never")
    if fib.get("result") == "oif" and "saddr" in _listed(fib.get("flags")):
        return Condition("never" if not negated else "always")
    return Condition("opaque")


def _port_operand(operator: Any, right: Any) -> tuple[str, ...]:
    bounds = {"<": (0, -1), "<=": (0, 0), ">": (1, 65535), ">=": (0, 65535)}
    if operator in bounds and isinstance(right, int):
        low, high = bounds[operator]
        return (f"{max(0, right + low)}-{high}",) if high == 65535 else (f"0-{right + high}",)
    return _words(right)


def _words(right: Any) -> tuple[str, ...]:
    """Return the values of an operand, ranges as first-last."""
    found = []
    for value in _listed(right.get("set") if isinstance(right, dict) and "set" in right else right):
        if isinstance(value, dict) and isinstance(value.get("range"), list):
            found.append("-".join(map(str, value["range"])))
        elif isinstance(value, dict):
            found.append(str(value.get("elem", value)))
        else:
            found.append(str(value))
    return tuple(found)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
