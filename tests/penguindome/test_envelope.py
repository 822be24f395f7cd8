from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.envelope import make_payload, open_envelope, read_payload, signed_bytes
from penguindome.errors import Forbidden, InvalidInput
from penguindome.ids import new_device_id, new_fleet_id, new_ulid

if TYPE_CHECKING:
    from tests.penguindome.signing import Fleet

DEVICE, OTHER = new_device_id(), new_device_id()
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
texts = st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace").decode())
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts.filter(lambda key: key and "\0" not in key), inner, max_size=3)
    ),
    max_leaves=8,
)
bodies = st.dictionaries(texts.filter(lambda key: key and "\0" not in key), values, max_size=4)


def payload(**changes: object) -> bytes:
    fields = {
        "fleet": new_fleet_id(),
        "kind": "command",
        "id": new_ulid(NOW),
        "issued_time": NOW,
        "not_before_time": NOW,
        "expires_time": NOW + timedelta(days=1),
        "devices": [DEVICE],
        "reason": "",
        "by": "alice",
        "body": {},
    }
    return make_payload(**(fields | changes))  # type: ignore[arg-type]


@given(bodies, texts, st.none() | st.integers(1, 2**40), st.booleans())
def test_what_is_written_is_read(body: dict, reason: str, seq: int | None, everybody: bool) -> None:
    devices = None if everybody else [DEVICE, OTHER]
    found = read_payload(payload(body=body, reason=reason, seq=seq, devices=devices))
    assert (found.body, found.reason, found.seq) == (body, reason, seq)
    assert (found.all_devices, found.devices) == (everybody, tuple(devices or ()))
    assert found.issued_time == NOW


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused_politely(data: bytes) -> None:
    with pytest.raises(InvalidInput):
        read_payload(data)


@given(st.sampled_from(sorted(json.loads(payload()))), values)
def test_a_field_of_any_other_type_never_crashes(name: str, value: object) -> None:
    fields = json.loads(payload())
    fields[name] = value
    try:
        read_payload(json.dumps(fields).encode())
    except InvalidInput as error:
        assert error.code in {"bad-payload", "bad-json", "bad-time"}  # noqa: PT017 -- may pass too


@pytest.mark.parametrize("name", sorted(json.loads(payload())))
def test_every_field_is_needed(name: str) -> None:
    fields = json.loads(payload())
    del fields[name]
    with pytest.raises(InvalidInput):
        read_payload(json.dumps(fields).encode())


@given(st.text(max_size=10), st.binary(max_size=40), st.text(max_size=10), st.binary(max_size=40))
def test_signed_bytes_are_unambiguous(one: str, first: bytes, two: str, second: bytes) -> None:
    one, two = one.replace("\0", ""), two.replace("\0", "")
    one, two = (text.encode("utf-8", "replace").decode() for text in (one, two))
    same = signed_bytes(one, first) == signed_bytes(two, second)
    assert same == ((one, first) == (two, second))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"fleet": new_fleet_id()}, "wrong-fleet"),
        ({"devices": [OTHER]}, "wrong-device"),
        ({"not_before_time": timedelta(minutes=6)}, "not-yet-valid"),
        ({"issued_time": timedelta(minutes=6)}, "not-yet-valid"),
        ({"expires_time": timedelta(), "not_before_time": timedelta(days=-1)}, "expired"),
        ({"issued_time": timedelta(seconds=-1)}, "voided"),
    ],
)
def test_an_order_out_of_place_or_time_is_refused(fleet: Fleet, changes: dict, code: str) -> None:
    changes = {
        name: fleet.now + value if isinstance(value, timedelta) else value
        for name, value in changes.items()
    }
    envelope = fleet.sign("command", fleet.order(DEVICE, **changes), "alice")
    with pytest.raises(Forbidden) as caught:
        open_envelope(
            envelope,
            trust=fleet.document("alice"),
            role="command",
            fleet=fleet.id,
            device_id=DEVICE,
            now=fleet.now,
        )
    assert caught.value.code == code


def test_nothing_is_obeyed_under_expired_trust(fleet: Fleet) -> None:
    trust = fleet.document("alice")
    trust = replace(trust, expires_time=fleet.now)
    envelope = fleet.sign("command", fleet.order(None), "alice")
    with pytest.raises(Forbidden) as caught:
        open_envelope(
            envelope, trust=trust, role="command", fleet=fleet.id, device_id=None, now=fleet.now
        )
    assert caught.value.code == "trust-expired"
