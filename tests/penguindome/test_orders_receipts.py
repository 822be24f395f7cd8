"""Receipts: a device's signed word arrives as it was said, and nobody else's does."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome import keys
from penguindome.errors import Forbidden, InvalidInput
from penguindome.framing import frame
from penguindome.ids import new_device_id, new_fleet_id, new_ulid
from penguindome.orders.receipts import (
    REASON_LIMIT_BYTES,
    RECEIPT_LIMIT_BYTES,
    STATES,
    Receipt,
    SealedReceipt,
    open_receipt,
    read_receipt,
    seal,
)
from tests.penguindome.order_bodies import hostile, texts

NOW = datetime(2030, 1, 2, 3, 4, 5, 6000, tzinfo=UTC)
FLEET, DEVICE, OTHER = new_fleet_id(), new_device_id(), new_device_id()
KEY = keys.generate_key()
SPKI = keys.key_spki(KEY)
BASE = Receipt(FLEET, DEVICE, new_ulid(NOW), "succeeded", 1, NOW)
receipts = st.builds(
    Receipt,
    fleet=st.just(FLEET),
    device_id=st.just(DEVICE),
    order_id=st.just(BASE.order_id),
    state=st.sampled_from(STATES),
    number=st.integers(1, 2**53),
    time=st.just(NOW),
    part=texts,
    reason=texts,
    code=st.text("abc-", max_size=20),
    exit_code=st.none() | st.integers(0, 255),
    stdout_bytes=st.integers(0, 2**53),
    stderr_bytes=st.integers(0, 2**53),
    truncated=st.booleans(),
    details=st.dictionaries(st.sampled_from("abc"), texts | st.integers(0, 9), max_size=3),
)


def opened(sealed: SealedReceipt, *, spki: bytes = SPKI, device_id: str = DEVICE) -> Receipt:
    return open_receipt(sealed, spki=spki, fleet=FLEET, device_id=device_id)


@given(receipts)
def test_what_is_sealed_is_opened(receipt):
    assert opened(seal(receipt, KEY)) == receipt


@given(st.binary(max_size=100), st.binary(max_size=80))
def test_bytes_that_nobody_sealed_are_refused(payload, signature):
    with pytest.raises(Forbidden):
        opened(SealedReceipt(payload, signature))


def test_a_receipt_by_another_key_or_with_another_byte_is_refused():
    sealed = seal(BASE, KEY)
    assert opened(sealed) == BASE
    spoiled = [
        replace(sealed, payload=sealed.payload.replace(b"succeeded", b"cancelled")),
        replace(sealed, payload=sealed.payload + b" "),
        replace(sealed, signature=sealed.signature[:-1]),
        replace(sealed, signature=b""),
        seal(BASE, keys.generate_key()),
        # Signed by the device, yet not as a receipt.
        SealedReceipt(sealed.payload, keys.sign(KEY, frame("renew", sealed.payload))),
        SealedReceipt(sealed.payload, keys.sign(KEY, sealed.payload)),
    ]
    for one in spoiled:
        with pytest.raises(Forbidden):
            opened(one)
    with pytest.raises(Forbidden):
        opened(sealed, spki=b"no key")


def test_a_receipt_for_another_device_or_fleet_is_refused():
    for other in (replace(BASE, device_id=OTHER), replace(BASE, fleet=new_fleet_id())):
        with pytest.raises(Forbidden):
            opened(seal(other, KEY))
    with pytest.raises(Forbidden):
        opened(seal(BASE, KEY), device_id=OTHER)


@given(st.sampled_from(sorted(json.loads(seal(BASE, KEY).payload))), hostile)
def test_any_field_may_be_anything_and_nothing_crashes(name, value):
    fields = {**json.loads(seal(BASE, KEY).payload), name: value}
    try:
        read_receipt(json.dumps(fields).encode())
    except InvalidInput as error:
        assert error.code in {"bad-receipt", "bad-json", "bad-time"}  # noqa: PT017 -- may pass too


@pytest.mark.parametrize(
    "change",
    [
        {"state": "queued"},
        {"state": "sent"},
        {"state": ""},
        {"number": 0},
        {"number": True},
        {"exit_code": -2},
        {"exit_code": 256},
        {"order_id": "x"},
        {"device_id": "d-1"},
        {"fleet": ""},
        {"time_unix_ms": -1},
        {"time_unix_ms": 2**53},
        {"stdout_bytes": -1},
        {"part": "a\0"},
        {"part": "a" * 257},
        {"reason": "a" * 2049},
        {"details": []},
        {"details": {"a": 1e400}},
        {"truncated": 1},
        {"more": 1},
    ],
)
def test_a_receipt_that_no_agent_writes_is_refused(change):
    fields = {**json.loads(seal(BASE, KEY).payload), **change}
    with pytest.raises(InvalidInput):
        read_receipt(json.dumps(fields).encode())


@given(st.text(max_size=3000))
def test_a_reason_of_any_length_and_bytes_arrives(reason):
    found = opened(seal(replace(BASE, reason=reason), KEY)).reason
    assert len(found.encode()) <= REASON_LIMIT_BYTES
    whole = reason.encode("utf-8", "replace").decode().replace("\0", "")
    assert whole.startswith(found)


DEEP: dict = {}
for _ in range(30):
    DEEP = {"a": DEEP}


@pytest.mark.parametrize(
    "details",
    [
        {"home": "/home/\udcff"},
        {"homes": ["x" * 100] * 1000},
        {"homes": [1] * 5000},
        {"size": float("nan")},
        {"path": b"bytes"},
        {"": "no key"},
        {"a": "x" * RECEIPT_LIMIT_BYTES},
        DEEP,
    ],
)
def test_details_that_nobody_could_read_do_not_keep_a_receipt_from_arriving(details):
    found = opened(seal(replace(BASE, details=details), KEY))
    assert found.state == "succeeded"
    assert set(found.details) == {"left_out"}


def test_the_largest_receipt_that_can_be_sealed_is_opened():
    details = {f"k{number}": "\x01" * 40 for number in range(120)}
    full = replace(BASE, part="\x01" * 256, reason="\x01" * 2048, code="\x01" * 64, details=details)
    assert opened(seal(full, KEY)) == full


@pytest.mark.parametrize("exit_code", [-9, 256, -1])
def test_a_program_that_did_not_end_by_itself_has_no_exit_code(exit_code):
    assert opened(seal(replace(BASE, exit_code=exit_code), KEY)).exit_code is None
