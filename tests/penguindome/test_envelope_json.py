"""Envelopes as files hold them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.envelope import Envelope
from penguindome.envelope_json import from_json, to_json
from penguindome.errors import InvalidInput

GOOD = {"kind": "trust", "payload": "AAE=", "signatures": ["/+8="]}


@given(st.text(), st.binary(), st.lists(st.binary()))
def test_what_was_written_is_read(kind, payload, signatures):
    envelope = Envelope(kind, payload, tuple(signatures))
    assert from_json(to_json(envelope)) == envelope


@pytest.mark.parametrize(
    "change",
    [
        {"payload": "AAE"},
        {"payload": "AA\nE="},
        {"payload": "A-E="},
        {"payload": 7},
        {"payload": None},
        {"payload": "é"},
        {"signatures": ["*"]},
        {"signatures": "AAE="},
        {"signatures": None},
        {"kind": 7},
        {"more": ""},
    ],
)
def test_what_nobody_wrote_is_refused(change):
    assert from_json(json.dumps(GOOD).encode()).payload == b"\0\1"
    with pytest.raises(InvalidInput):
        from_json(json.dumps({**GOOD, **change}).encode())


@given(st.binary(max_size=40))
def test_any_bytes_are_refused(data):
    with pytest.raises(InvalidInput):
        from_json(data)
    with pytest.raises(InvalidInput):
        from_json(b"[" * 100_000)
