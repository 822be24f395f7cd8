"""Successions: which keys were a device's, told from the keys' own signatures alone."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguindome import keys
from penguindome.errors import Forbidden, InvalidInput
from penguindome.framing import frame
from penguindome.strict_json import canonical_json
from penguindome.succession import (
    SealedSuccession,
    lineage,
    open_succession,
    read_succession,
    seal_succession,
)

FLEET, DEVICE = "0" * 32, "d-mw2us5ljbgsetkzr"
PAIRS = [keys.generate_key() for _ in range(5)]
SPKI = [keys.key_spki(one) for one in PAIRS]
TIME = 1_700_000_000_000


def proof(former: int, following: int, *, fleet=FLEET, device_id=DEVICE) -> SealedSuccession:
    return seal_succession(
        PAIRS[former],
        PAIRS[following],
        fleet=fleet,
        device_id=device_id,
        time_unix_ms=TIME + former,
    )


CHAIN = [proof(number, number + 1) for number in range(4)]


def found(present: int, proofs) -> list[int]:
    held = lineage(SPKI[present], proofs, fleet=FLEET, device_id=DEVICE)
    return [SPKI.index(one.spki) for one in held]


def opened(sealed):
    return open_succession(sealed, fleet=FLEET, device_id=DEVICE)


def test_what_is_sealed_is_opened():
    said = opened(CHAIN[0])
    assert (said.fleet, said.device_id) == (FLEET, DEVICE)
    assert (said.former, said.following, said.time_unix_ms) == (SPKI[0], SPKI[1], TIME)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(["payload", "former_signature", "following_signature"]), st.data())
def test_one_flipped_bit_anywhere_is_refused(field, data):
    good = getattr(CHAIN[0], field)
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    flipped = bytearray(good)
    flipped[bit // 8] ^= 1 << bit % 8
    with pytest.raises((Forbidden, InvalidInput)):
        opened(replace(CHAIN[0], **{field: bytes(flipped)}))


@settings(deadline=None)
@given(
    st.binary(max_size=400)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    ).map(lambda value: json.dumps(value).encode())
)
def test_whatever_comes_is_read_or_refused(payload):
    with pytest.raises(InvalidInput):
        read_succession(payload)


@pytest.mark.parametrize("wrong", [{"fleet": "1" * 32}, {"device_id": "d-aaaaaaaaaaaaaaaa"}])
def test_another_fleets_or_devices_is_refused(wrong):
    with pytest.raises(Forbidden):
        opened(proof(0, 1, **wrong))
    assert found(1, [proof(0, 1, **wrong)]) == [1]


def test_a_key_that_follows_itself_is_refused():
    payload = canonical_json(
        json.loads(CHAIN[0].payload) | {"following": json.loads(CHAIN[0].payload)["former"]}
    )
    signatures = [
        keys.sign(PAIRS[0], frame(f"succession-{word}", payload))
        for word in ("former", "following")
    ]
    with pytest.raises(InvalidInput):
        opened(SealedSuccession(payload, *signatures))


def test_each_signature_counts_for_its_own_side():
    swapped = SealedSuccession(
        CHAIN[0].payload, CHAIN[0].following_signature, CHAIN[0].former_signature
    )
    with pytest.raises(Forbidden):
        opened(swapped)


@given(st.permutations(CHAIN))
@settings(deadline=None)
def test_all_keys_are_found_in_whatever_order_the_proofs_come(proofs):
    assert found(4, proofs) == [0, 1, 2, 3, 4]
    assert found(2, proofs) == [0, 1, 2]
    held = lineage(SPKI[2], proofs, fleet=FLEET, device_id=DEVICE)
    assert [one.until_unix_ms for one in held] == [TIME, TIME + 1, None]


@pytest.mark.parametrize("gone", range(4))
def test_a_missing_link_ends_it(gone):
    assert found(4, CHAIN[:gone] + CHAIN[gone + 1 :]) == list(range(gone + 1, 5))


def test_a_key_that_the_old_one_did_not_sign_for_is_nobodys():
    # Who has a key of their own and the server can sign for both sides with it, and no more.
    own = keys.sign(PAIRS[4], frame("succession-former", proof(1, 4).payload))
    assert found(4, [CHAIN[0], replace(proof(1, 4), former_signature=own)]) == [4]


def test_a_key_that_the_new_one_did_not_agree_to_is_no_former_one():
    own = keys.sign(PAIRS[4], frame("succession-following", proof(4, 1).payload))
    forged = replace(proof(4, 1), following_signature=own)
    assert found(1, [forged]) == [1]
    # It does not hide the true one either.
    assert found(1, [forged, CHAIN[0]]) == [0, 1]


def test_of_a_fork_each_branch_knows_its_own_keys():
    fork = proof(1, 4)
    assert found(4, [*CHAIN[:3], fork]) == [0, 1, 4]
    assert found(3, [*CHAIN[:3], fork]) == [0, 1, 2, 3]


def test_a_ring_comes_to_an_end():
    assert found(1, [CHAIN[0], proof(1, 0)]) == [0, 1]
