from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.errors import InvalidInput
from penguindome.strict_json import JsonLimits, canonical_json, parse_json

keys = st.text(min_size=1, max_size=20).filter(lambda key: "\0" not in key)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)
documents = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=20
)


@given(documents)
def test_canonical_form_is_a_fixed_point(value: object) -> None:
    first = parse_json(json.dumps(value).encode())
    written = canonical_json(first)
    assert parse_json(written) == first
    assert canonical_json(parse_json(written)) == written


@given(st.dictionaries(keys, st.integers(-5, 5), min_size=2))
def test_order_and_spaces_do_not_matter(value: dict[str, int]) -> None:
    turned = dict(reversed(list(value.items())))
    spaced = json.dumps(turned, indent=3).encode()
    assert canonical_json(parse_json(spaced)) == canonical_json(value)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_give_a_value_or_our_error(data: bytes) -> None:
    try:
        value = parse_json(data)
    except InvalidInput:
        return
    canonical_json(value)


@given(st.text(alphabet='[]{}",:\\0123456789eE.-tfn \ud800', max_size=40))
def test_json_like_text_gives_a_value_or_our_error(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    try:
        value = parse_json(data)
    except InvalidInput:
        return
    assert value == parse_json(canonical_json(value))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b'{"a":1,"a":2}',
        b'{"\\ud800":1,"\\udfff":2}',
        b'{"":1}',
        b'{"a\\u0000":1}',
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'"\xff"',
        b"{} {}",
        b"[1,]",
        b"{'a':1}",
        b'{"' + b"k" * 256 + b'":1}',
        b'"' + b"x" * (256 * 1024 + 1) + b'"',
        b"[" * 33 + b"]" * 33,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000,
        b"[" + b"0," * 20_000 + b"0]",
        b"[" + b"[]," * 30_000 + b"0]",
        b"1" * 5_000 + b"e5",
        b" " * (1024 * 1024 + 1),
        b"[" + b"1e15," * 200_000 + b"0]",
    ],
)
def test_hostile_documents_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_json(data)
    assert caught.value.code == "bad-json"


def test_limits_are_inclusive() -> None:
    assert parse_json(b"[" * 32 + b"]" * 32)
    assert len(parse_json(b"[" + b"0," * 19_998 + b"0]")) == 19_999
    assert parse_json(b'{"' + b"k" * 255 + b'":1}')
    assert parse_json(b'"' + b"x" * 256 * 1024 + b'"')


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b"9223372036854775808", {"$int": "9223372036854775808"}),
        (b"-9223372036854775809", {"$int": "-9223372036854775809"}),
        (b"1" * 5_000, {"$int": "1" * 5_000}),
        (b'"\\ud83d\\udc27"', "\U0001f427"),
        (b'"\\ud800x"', "\ufffdx"),
        (b'"\\u0000"', "\0"),
        (b"{}", {}),
        (b'{"$where":{"a.b":[]}}', {"$where": {"a.b": []}}),
        (b'"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["', "[" * 40),
        (b'"\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["', '"' + "[" * 36),
    ],
)
def test_awkward_values_are_kept(data: bytes, value: object) -> None:
    assert parse_json(data) == value


@pytest.mark.parametrize(
    "data", [b'"' + b'\\"' * 500_000, b'"\\' * 300_000, b'"' * 1_000_000, b"[" * 1_000_000]
)
def test_the_gate_is_linear(data: bytes) -> None:
    start = time.monotonic()
    with pytest.raises(InvalidInput):
        parse_json(data)
    assert time.monotonic() - start < 5


def test_deep_big_integers_stay_within_depth() -> None:
    deep = b"[" * 32 + b"1" * 30 + b"]" * 32
    with pytest.raises(InvalidInput):
        parse_json(deep)
    assert parse_json(b"[1]", JsonLimits(depth=1)) == [1]
