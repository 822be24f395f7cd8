"""Recordings: one changed byte anywhere is found and located, and so is a missing end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penguindome import keys
from penguindome.framing import frame
from penguindome.shell.transcript import Chain, Checkpoint, Piece, seal_checkpoint, verify

KEY = keys.generate_key()
SPKI = keys.key_spki(KEY)
ORDER = "01M8AQTYZRRTPDFN75EE49W39F"
DEVICE = "d-mw2us5ljbgsetkzr"
HASH = "ab" * 32
FLEET = "0" * 32


def recorded(groups: list[list[bytes]]) -> list[Piece]:
    chain = Chain(HASH)
    made = []
    for number, lines in enumerate(groups):
        hashes = b"".join(chain.add(line) for line in lines)
        checkpoint = Checkpoint(
            fleet=FLEET,
            device_id=DEVICE,
            order_id=ORDER,
            number=number,
            lines=chain.lines,
            chain=chain.value,
            line_hashes=hashes,
            time_unix_ms=1_700_000_000_000,
            final=number == len(groups) - 1,
        )
        payload, signature = seal_checkpoint(checkpoint, KEY)
        made.append(Piece(b"".join(line + b"\n" for line in lines), payload, signature))
    return made


def check(pieces):
    return verify(pieces, spkis=[SPKI], order_id=ORDER, order_hash=HASH, device_id=DEVICE)


GROUPS = [[b'{"version":2}', b'[0.1,"o","a"]'], [b'[0.2,"o","b"]'], [b'[0.3,"m","exit 0"]']]
# Made once, since signatures differ in length.
RECORDED = recorded(GROUPS)


def test_a_recording_as_it_was_made_is_good():
    result = check(recorded(GROUPS))
    assert (result.problem, result.is_complete, result.lines) == ("", True, 4)


@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2), st.sampled_from(["data", "checkpoint", "signature"]), st.data())
def test_one_flipped_bit_anywhere_is_found_and_located(number, field, data):
    pieces = list(RECORDED)
    value = bytearray(getattr(pieces[number], field))
    place = data.draw(st.integers(0, len(value) - 1))
    value[place] ^= 1 << data.draw(st.integers(0, 7))
    pieces[number] = replace(pieces[number], **{field: bytes(value)})
    result = check(pieces)
    before = sum(len(group) for group in GROUPS[:number])
    assert result.problem
    assert before <= result.lines < before + len(GROUPS[number]) or field != "data"
    if field == "data":
        changed = before + bytes(value[:place]).count(b"\n") + 1
        assert f"{changed}" in result.problem or "after line" in result.problem


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_a_missing_end_is_found(kept):
    result = check(recorded(GROUPS)[:kept])
    assert result.problem == "its end is missing"
    assert not result.is_complete


def test_a_piece_that_is_left_out_swapped_or_another_sessions_is_found():
    pieces = recorded(GROUPS)
    assert check([pieces[0], pieces[2]]).problem
    assert check([pieces[1], pieces[0], pieces[2]]).problem
    assert check([*pieces, pieces[2]]).problem
    other = verify(pieces, spkis=[SPKI], order_id=ORDER, order_hash="cd" * 32, device_id=DEVICE)
    assert other.problem
    assert verify(
        pieces, spkis=[keys.key_spki(keys.generate_key())], order_id=ORDER, order_hash=HASH,
        device_id=DEVICE,
    ).problem  # fmt: skip


def test_each_key_that_signed_is_named_and_all_have_to_be_the_devices():
    later = keys.generate_key()
    pieces = recorded(GROUPS)
    payload = pieces[2].checkpoint
    pieces[2] = replace(
        pieces[2], signature=keys.sign(later, frame("transcript-checkpoint", payload))
    )
    both = [keys.key_spki(later), SPKI]
    facts = {"order_id": ORDER, "order_hash": HASH, "device_id": DEVICE}
    result = verify(pieces, spkis=both, **facts)
    assert (result.problem, result.signers) == ("", (SPKI, both[0]))
    for one in both:
        assert "not signed by the device" in verify(pieces, spkis=[one], **facts).problem
    assert verify(pieces, spkis=[], **facts).problem
