"""The rules of orders and targets, without a database."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from penguind.domain.order import NEVER_SENT, UNFINISHED, Target, kept_piece
from penguind.domain.order_delivery import UNHEARD_LIMIT, Unheard, to_send
from penguindome.orders.receipts import FINAL, Receipt, SealedReceipt
from tests.harness.reporter import NOW

ORDER, DEVICE = "0" * 26, "d-" + "a" * 16
SEALED = SealedReceipt(b"{}", b"s")
TARGET = Target(ORDER, DEVICE, "web-1", "command", "sent", NOW + timedelta(days=1))


def word(state: str, number: int, **fields: object) -> Receipt:
    return Receipt("f" * 32, DEVICE, ORDER, state, number, NOW, **fields)


def after(target: Target, *words: Receipt) -> Target:
    for one in words:
        target = target.after(one, SEALED, NOW) or target
    return target


def test_receipts_lead_to_the_same_end_in_any_order():
    story = [word("accepted", 1), word("running", 2), word("succeeded", 3, exit_code=0)]
    ends = {
        (end.state, end.exit_code, end.ended_time)
        for words in permutations(story)
        for end in [after(TARGET, *words)]
    }
    assert ends == {("succeeded", 0, NOW)}


@given(st.lists(st.tuples(st.sampled_from(("accepted", "running", *FINAL)), st.integers(1, 9))))
def test_the_first_final_word_stays_and_numbers_only_grow(said):
    target, first = TARGET, ""
    for state, number in said:
        former = target
        target = after(target, word(state, number))
        if former.is_final:
            assert target is former
        elif state in FINAL:
            first = state
        else:
            assert target.number >= former.number
    assert target.is_final == bool(first)
    assert target.state == first or not first


def test_a_patch_that_ended_holds_no_paths():
    target = replace(TARGET, kind="patch", paths=("plugins/x",))
    assert after(target, word("running", 1)).paths == ("plugins/x",)
    assert after(target, word("failed", 2)).paths == ()


def test_what_the_server_ended_is_not_changed_by_a_device():
    for state in ("cancelled", "expired"):
        ended = replace(TARGET, state=state)
        assert ended.after(word("succeeded", 9), SEALED, NOW) is None


def test_states_are_told_apart():
    assert not set(NEVER_SENT) & set(FINAL)
    assert set(NEVER_SENT) < set(UNFINISHED)


@st.composite
def queues(draw):
    states = st.sampled_from(["queued", "sent"])
    rows = draw(st.lists(st.tuples(st.integers(0, 2), states, st.booleans()), max_size=120))
    return [
        Unheard(f"{number:026d}", f"d{device}", state, urgent)
        for number, (device, state, urgent) in enumerate(rows)
    ]


@given(queues())
def test_no_device_is_given_more_than_it_may_have_unanswered(found):
    chosen = to_send(found)
    for device in {one.device_id for one in found}:
        for urgent in (False, True):
            lane = [one for one in found if (one.device_id, one.urgent) == (device, urgent)]
            sent = sum(one.state == "sent" for one in lane)
            given_now = [one for one in chosen if (one.device_id, one.urgent) == (device, urgent)]
            queued = [one for one in lane if one.state == "queued"]
            room = max(UNHEARD_LIMIT - sent, 0)
            assert given_now == queued[:room], "the oldest first, and all that fit"


@given(queues())
def test_urgent_orders_come_first(found):
    urgent = [one.urgent for one in to_send(found)]
    assert urgent == sorted(urgent, reverse=True)


@given(
    st.binary(max_size=60),
    st.integers(0, 80),
    st.lists(st.tuples(st.integers(0, 70), st.integers(0, 70)), max_size=30),
)
def test_however_pieces_overlap_each_byte_is_kept_once_and_within_the_limit(text, limit, cuts):
    held, kept = 0, b""
    for begin, length in [*cuts, (0, len(text))]:
        if begin > held:
            continue
        offset, data = kept_piece(begin, text[begin : begin + length], held=held, limit=limit)
        if data:
            assert offset == held
            kept += data
            held = offset + len(data)
    assert kept == text[:limit]


def test_a_gap_is_kept_where_it_was_and_bounded_all_the_same():
    assert kept_piece(90, b"x" * 20, held=10, limit=100) == (90, b"x" * 10)
    assert kept_piece(2**40, b"x", held=0, limit=100)[1] == b""


def test_output_is_owed_until_the_limit():
    target = replace(TARGET, stdout_kept=200, output_limit_bytes=100, stdout_bytes=99)
    assert target.owes_output()
    assert not replace(target, stdout_bytes=100).owes_output()
