"""Proofs that a device's keys follow each other, as it keeps them."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguin_agent.identity import Device, Facts, Identity
from penguin_agent.key_proofs import extend
from penguindome import keys
from penguindome.succession import lineage

FLEET, DEVICE = "0" * 32, "d-mw2us5ljbgsetkzr"
NOW = datetime(2030, 1, 2, tzinfo=UTC)
PAIRS = [keys.generate_key() for _ in range(40)]


def identity(key: bytes) -> Identity:
    device = Device(DEVICE, FLEET, "127.0.0.1", 1, 2, "", "")
    return Identity(device, key, b"", Facts("1", NOW, NOW + timedelta(days=14), ""))


def found(present: bytes, proofs) -> list[int]:
    spkis = [keys.key_spki(one) for one in PAIRS]
    held = lineage(keys.key_spki(present), proofs, fleet=FLEET, device_id=DEVICE)
    return [spkis.index(one.spki) for one in held]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "successions.json"


def test_each_renewal_adds_one_and_the_newest_are_sent(path):
    for number in range(39):
        proofs = extend(path, identity(PAIRS[number]), PAIRS[number + 1], NOW)
        assert len(proofs) == min(number + 1, 32)
    assert found(PAIRS[39], proofs) == list(range(7, 40))
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_that_never_came_into_use_is_left_behind(path):
    extend(path, identity(PAIRS[0]), PAIRS[1], NOW)
    extend(path, identity(PAIRS[1]), PAIRS[2], NOW)
    proofs = extend(path, identity(PAIRS[1]), PAIRS[3], NOW)
    assert found(PAIRS[3], proofs) == [0, 1, 3]
    assert len(proofs) == 2


def test_each_attempt_says_when_it_was(path):
    extend(path, identity(PAIRS[0]), PAIRS[1], NOW)
    (again,) = extend(path, identity(PAIRS[0]), PAIRS[1], NOW + timedelta(days=3))
    assert json.loads(again.payload)["time_unix_ms"] == (NOW.timestamp() + 3 * 86_400) * 1000


def test_what_an_agent_that_made_no_proofs_left_open_begins_anew(path):
    extend(path, identity(PAIRS[0]), PAIRS[1], NOW)
    proofs = extend(path, identity(PAIRS[5]), PAIRS[6], NOW)
    assert found(PAIRS[6], proofs) == [5, 6]


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=60) | st.integers(0, 2**32))
def test_a_damaged_file_costs_no_renewal(tmp_path_factory, damage):
    path = tmp_path_factory.mktemp("proofs") / "successions.json"
    extend(path, identity(PAIRS[0]), PAIRS[1], NOW)
    if isinstance(damage, bytes):
        path.write_bytes(damage)
    else:
        data = bytearray(path.read_bytes())
        data[random.Random(damage).randrange(len(data))] ^= 1
        path.write_bytes(data)
    proofs = extend(path, identity(PAIRS[1]), PAIRS[2], NOW)
    # What is sent is good in any case: the server would refuse the whole renewal otherwise.
    assert found(PAIRS[2], proofs) == list(range(2 - len(proofs), 3))
