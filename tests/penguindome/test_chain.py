from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.chain import GENESIS, row_hash, verify_rows
from penguindome.errors import Damaged
from penguindome.ids import new_device_id
from penguindome.possession import enroll_bytes, poll_bytes, renew_bytes


@dataclass(frozen=True)
class Row:
    number: int
    time_unix_ms: int
    actor: str
    action: str
    target: str
    details: bytes
    previous_hash: bytes = GENESIS
    hash: bytes = b""


facts = st.tuples(st.integers(0, 2**42), st.text(), st.text(), st.text(), st.binary(max_size=20))


def chained(found: list[tuple]) -> list[Row]:
    rows: list[Row] = []
    previous = GENESIS
    for number, (time, actor, action, target, details) in enumerate(found, 1):
        row = Row(number, time, actor, action, target, details, previous)
        previous = row_hash(
            previous=previous,
            number=number,
            time_unix_ms=time,
            actor=actor,
            action=action,
            target=target,
            details=details,
        )
        rows.append(replace(row, hash=previous))
    return rows


@given(st.lists(facts, max_size=6), st.integers(0, 6))
def test_a_chain_verifies_from_any_row(found: list[tuple], cut: int) -> None:
    rows = chained(found)
    cut = min(cut, len(rows))
    number, previous = verify_rows(rows[:cut])
    assert number == cut
    end = verify_rows(rows[cut:], previous=previous, number=number)
    assert end == verify_rows(rows)


changes = st.sampled_from(
    [
        {"time_unix_ms": -1},
        {"actor": "mallory/x"},
        {"action": "changed.x"},
        {"target": "changed.x"},
        {"details": b"a changed detail, longer than twenty"},
        {"hash": bytes(32)},
        {"previous_hash": b"x" * 32},
        {"number": 99},
    ]
)


@given(st.lists(facts, min_size=1, max_size=6), st.data(), changes)
def test_the_first_changed_row_is_named(
    found: list[tuple], data: st.DataObject, change: dict
) -> None:
    rows = chained(found)
    index = data.draw(st.integers(0, len(rows) - 1))
    rows[index] = replace(rows[index], **change)
    with pytest.raises(Damaged) as caught:
        verify_rows(rows)
    assert caught.value.subject == f"ledger row {index + 1}"


@given(st.lists(facts, min_size=2, max_size=6), st.data())
def test_a_removed_or_moved_row_is_noticed(found: list[tuple], data: st.DataObject) -> None:
    rows = chained(found)
    index = data.draw(st.integers(0, len(rows) - 2))
    with pytest.raises(Damaged):
        verify_rows(rows[:index] + rows[index + 1 :])
    rows[index], rows[index + 1] = rows[index + 1], rows[index]
    with pytest.raises(Damaged):
        verify_rows(rows)


def test_a_rewritten_tail_does_not_fit_a_kept_head() -> None:
    rows = chained([(1, "a", "b", "c", b""), (2, "a", "b", "c", b"")])
    other = chained([(1, "x", "b", "c", b""), (2, "a", "b", "c", b"")])
    number, head = verify_rows(rows[:1])
    with pytest.raises(Damaged):
        verify_rows(other[1:], previous=head, number=number)


@given(
    st.binary(max_size=9),
    st.binary(max_size=9),
    st.text(max_size=9),
    st.dictionaries(st.text(max_size=4), st.binary(max_size=4), max_size=3),
)
def test_proofs_are_for_one_purpose(
    nonce: bytes, csr: bytes, hostname: str, hints: dict[str, bytes]
) -> None:
    device = new_device_id()
    enroll = enroll_bytes(nonce, b"i" * 8, csr, hostname, hints)
    assert enroll == enroll_bytes(nonce, b"i" * 8, csr, hostname, dict(reversed(hints.items())))
    assert enroll != enroll_bytes(nonce, b"i" * 8, csr, hostname + "x", hints)
    assert enroll != enroll_bytes(nonce, b"i" * 8, csr, hostname, {**hints, "extra": b""})
    assert len({enroll, poll_bytes(nonce, device), renew_bytes(nonce, device, csr)}) == 3
