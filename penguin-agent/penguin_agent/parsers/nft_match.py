"""Read the conditions of an nft rule from JSON.

Source: libnftables-json(5), nftables 1.0.9. What is not known here is opaque, never a guess.
"""

from __future__ import annotations

from typing import Any

from penguin_agent.parsers import reach
from penguin_agent.parsers.netfilter import Condition

_ICMP = frozenset({"icmp", "icmpv6", "ipv6-icmp"})
_TRANSPORTS = frozenset({"tcp", "udp", "udplite", "sctp", "dccp"})
_VERSIONS = {"ip": "4", "ip6": "6"}
_FLAGS = ("fin", "syn", "rst", "psh", "ack", "urg")
_OPAQUE = Condition("opaque")


def conditions_of(kind: str, body: Any) -> list[Condition]:
    """Return the conditions that one expression of a rule stands for, all of which must hold."""
    if kind == "limit":
        return [Condition("maybe")]
    if kind == "set":  # to note a packet restricts nothing, a rate per element does
        return [Condition("maybe")] if isinstance(body, dict) and body.get("stmt") else []
    if kind != "match" or not isinstance(body, dict) or not isinstance(body.get("left"), dict):
        return [_OPAQUE]
    return _matched(body["left"], body.get("op"), body.get("right"))


def _matched(left: dict[str, Any], operator: Any, right: Any) -> list[Condition]:
    negated = operator == "!="
    if isinstance(left.get("payload"), dict):
        return [*implied(left), _payload(left["payload"], operator, right)]
    if "&" in left:
        return _masked(left["&"], _words(right), negated=negated)
    for key, reader in (("meta", _meta), ("ct", _ct), ("fib", _fib)):
        if isinstance(left.get(key), dict):
            return [reader(left[key], _words(right), negated=negated)]
    return [_OPAQUE]


def implied(left: Any) -> list[Condition]:
    """Return what naming a header's field asks for: nft does not list it as a condition."""
    payload = left.get("payload") if isinstance(left, dict) else None
    protocol = str(payload.get("protocol")) if isinstance(payload, dict) else ""
    if protocol in _VERSIONS:
        return [Condition("family", (_VERSIONS[protocol],))]
    return [Condition("protocol", (protocol,))] if protocol in _TRANSPORTS else []


def _payload(payload: dict[str, Any], operator: Any, right: Any) -> Condition:
    protocol, fieldname = str(payload.get("protocol")), str(payload.get("field"))
    if protocol in _ICMP:
        return Condition("never")
    if fieldname in ("saddr", "daddr"):
        return _address(protocol, fieldname, _words(right), negated=operator == "!=")
    if fieldname in ("protocol", "nexthdr"):
        return Condition("protocol", _words(right), operator == "!=")
    if fieldname in ("dport", "sport"):
        unseen = isinstance(right, str) and right.startswith("@")
        ports = Condition("ports", _ports(operator, right), operator == "!=")
        return _OPAQUE if unseen else ports
    if (protocol, fieldname) == ("tcp", "flags"):
        return _flags(operator, _words(right))
    return _OPAQUE


def _address(protocol: str, fieldname: str, words: tuple[str, ...], *, negated: bool) -> Condition:
    if protocol not in _VERSIONS:  # of a network card
        return Condition("specific", negated=negated) if fieldname == "saddr" else _OPAQUE
    reader = reach.sender if fieldname == "saddr" else reach.receiver
    return reader(words, negated=negated)


def _flags(operator: Any, words: tuple[str, ...]) -> Condition:
    if operator == "in":  # any of them
        return Condition("always" if "syn" in words else "never")
    return reach.flags(_FLAGS, words, negated=operator == "!=")


def _masked(operands: Any, words: tuple[str, ...], *, negated: bool) -> list[Condition]:
    """Read `tcp flags & (fin|syn|rst|ack) == syn`."""
    if not isinstance(operands, list) or len(operands) != 2 or not isinstance(operands[0], dict):
        return [_OPAQUE]
    payload = operands[0].get("payload")
    mask = _words(operands[1])
    readable = isinstance(payload, dict) and payload.get("field") == "flags"
    if not readable or not set(mask) <= set(_FLAGS) or not set(words) <= set(_FLAGS):
        return [_OPAQUE]
    return [*implied(operands[0]), reach.flags(mask, words, negated=negated)]


def _meta(meta: dict[str, Any], words: tuple[str, ...], *, negated: bool) -> Condition:
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
    return _OPAQUE


def _ct(ct: dict[str, Any], words: tuple[str, ...], *, negated: bool) -> Condition:
    key = ct.get("key")
    if key == "state":
        return Condition("state", words, negated)
    if key == "status":
        return Condition("always" if negated else "never")
    return _OPAQUE


def _fib(fib: dict[str, Any], words: tuple[str, ...], *, negated: bool) -> Condition:
    """Route look-ups: our packet is for this machine, from where it could be answered."""
    if fib.get("result") == "type" and "daddr" in listed(fib.get("flags")):
        return Condition("always" if ("local" in words) != negated else "never")
    if fib.get("result") == "oif" and "saddr" in listed(fib.get("flags")):
        return Condition("never" if not negated else "always")
    return _OPAQUE


def _ports(operator: Any, right: Any) -> tuple[str, ...]:
    bounds = {"<": (0, -1), "<=": (0, 0), ">": (1, 65535), ">=": (0, 65535)}
    if operator in bounds and isinstance(right, int):
        low, high = bounds[operator]
        return (f"{max(0, right + low)}-{high}",) if high == 65535 else (f"0-{right + high}",)
    return _words(right)


def _words(right: Any) -> tuple[str, ...]:
    """Return the values of an operand, ranges as first-last, networks as address/length."""
    found = []
    for value in listed(right.get("set") if isinstance(right, dict) and "set" in right else right):
        inner = value.get("elem", value) if isinstance(value, dict) else value
        inner = inner.get("val", inner) if isinstance(inner, dict) else inner
        if isinstance(inner, dict) and isinstance(inner.get("range"), list):
            found.append("-".join(map(str, inner["range"])))
        elif isinstance(inner, dict) and isinstance(prefix := inner.get("prefix"), dict):
            found.append(f"{prefix.get('addr')}/{prefix.get('len')}")
        else:
            found.append(str(inner))
    return tuple(found)


def listed(value: Any) -> list[Any]:
    """Return a value of JSON as a list: null is none, one value is a list of it."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
