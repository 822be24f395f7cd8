"""Read JSON of others strictly, and write JSON in one form only.

Trust: the bytes may come from anybody. What comes out fits MongoDB, protobuf and a terminal's
escaper: bounded, finite, without duplicate keys or lone surrogates.
Source: RFC 8259; the form written sorts keys by code point and has no spaces.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from penguindome.errors import InvalidInput

Json = Any

INT64_DIGITS = 19
# Possessive, with an optional closing quote: linear on hostile input.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{},]', re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class JsonLimits:
    """Bound a document."""

    size_bytes: int = 1024 * 1024
    depth: int = 32
    nodes: int = 20_000
    key_bytes: int = 255
    string_bytes: int = 256 * 1024


OUTPUT_LIMITS = JsonLimits()


def parse_json(data: bytes, limits: JsonLimits = OUTPUT_LIMITS) -> Json:
    """Return the value that bytes encode.

    Integers beyond 64 bits become `{"$int": "digits"}`, lone surrogates U+FFFD. Writing the
    value with `canonical_json` and reading it again gives the same value.

    Raises:
        InvalidInput: Not JSON, or beyond a limit; says which.
    """
    if len(data) > limits.size_bytes:
        raise _bad(f"larger than {limits.size_bytes} bytes")
    _check_shape(data, limits)
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_Pairs,
            parse_constant=_refuse_constant,
            parse_float=_finite,
            parse_int=_bounded,
        )
    except UnicodeDecodeError:
        raise _bad("not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise _bad(f"not JSON ({str(error)[:80]})") from None
    value = _Cleaner(limits).clean(value, 0)
    if len(data) * 4 > limits.size_bytes and len(canonical_json(value)) > limits.size_bytes:
        raise _bad(f"larger than {limits.size_bytes} bytes when written out")
    return value


def canonical_json(value: Json) -> bytes:
    """Return the one form of a value: sorted keys, no spaces, UTF-8."""
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


class _Pairs(list[tuple[str, Any]]):
    """Keep an object's pairs until they are checked."""

    __slots__ = ()


class _Cleaner:
    """Turn pairs into dictionaries, and count."""

    def __init__(self, limits: JsonLimits) -> None:
        self._limits = limits
        self._nodes = 0

    def clean(self, value: Any, depth: int) -> Json:
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            raise _bad(f"more than {self._limits.nodes} values")
        if isinstance(value, list):
            if depth >= self._limits.depth:
                raise _bad(f"nested deeper than {self._limits.depth}")
            return self._container(value, depth + 1)
        return self._string(value) if isinstance(value, str) else value

    def _container(self, value: list[Any], depth: int) -> Json:
        if not isinstance(value, _Pairs):
            return [self.clean(item, depth) for item in value]
        result: dict[str, Json] = {}
        for raw, item in value:
            key = self._key(raw)
            if key in result:
                raise _bad(f"the key {key[:40]!r} stands twice in one object")
            result[key] = self.clean(item, depth)
        return result

    def _key(self, raw: str) -> str:
        key = raw if raw.isascii() else _SURROGATE.sub("\ufffd", raw)
        if not key or "\0" in key:
            raise _bad("a key is empty or holds NUL")
        if len(key.encode()) > self._limits.key_bytes:
            raise _bad(f"a key is longer than {self._limits.key_bytes} bytes")
        return key

    def _string(self, raw: str) -> str:
        text = raw if raw.isascii() else _SURROGATE.sub("\ufffd", raw)
        if len(text) * 4 > self._limits.string_bytes:
            size = len(text.encode())
            if size > self._limits.string_bytes:
                raise _bad(f"a string is longer than {self._limits.string_bytes} bytes")
        return text


def _check_shape(data: bytes, limits: JsonLimits) -> None:
    """Refuse deep nesting and too many values before the parser makes objects of them.

    One token at a time: a list of them would take thirty times the document's size. Most documents
    have too few brackets and commas, in strings or not, to be beyond a limit.
    """
    brackets = data.count(b"[") + data.count(b"{")
    if brackets <= limits.depth and max(brackets, data.count(b",") + 1) <= limits.nodes:
        return
    depth = opened = separated = 0
    for match in _TOKEN.finditer(data):
        token = data[match.start()]
        if token in b"[{":
            opened += 1
            depth += 1
        elif token in b"]}":
            depth -= 1
        elif token in b",":
            separated += 1
        if depth > limits.depth:
            raise _bad(f"nested deeper than {limits.depth}")
        if max(opened, separated + 1) > limits.nodes:
            raise _bad(f"more than {limits.nodes} values")


def _refuse_constant(name: str) -> None:
    raise _bad(f"{name} is not a JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _bad("a number is too large")
    return number


def _bounded(digits: str) -> Any:
    """Return a 64-bit integer, or pairs that keep a larger one's digits."""
    if len(digits.lstrip("-")) <= INT64_DIGITS:
        number = int(digits)
        if -(2**63) <= number < 2**63:
            return number
    return _Pairs([("$int", digits)])


def _bad(reason: str) -> InvalidInput:
    return InvalidInput(f"the JSON is refused: {reason}", code="bad-json")
