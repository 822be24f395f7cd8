from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.errors import InvalidInput
from penguindome.ids import new_ulid
from penguindome.report_wire import report_from_message, report_to_message
from penguindome.reports import (
    Output,
    OutputStatus,
    Report,
    canonical_json,
    check_report,
    output_size,
    split_report,
    state_hash,
)
from penguindome.v1 import agent_pb2

NOW = datetime(2030, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,20}", fullmatch=True)
lines = st.text(max_size=20).filter(lambda text: "\n" not in text)


@st.composite
def outputs(draw, name: str) -> Output:
    status = draw(st.sampled_from(OutputStatus))
    json = canonical_json(draw(st.text(max_size=200)))
    has = status in {OutputStatus.OK, OutputStatus.CACHED}
    has = has or (status is OutputStatus.UNKNOWN and draw(st.booleans()))
    cached = NOW - timedelta(days=1) if status is OutputStatus.CACHED else None
    reason = draw(lines)
    return Output(name, status, json if has else b"", reason, NOW, cached, draw(st.booleans()))


@st.composite
def output_lists(draw, maximum: int = 8) -> tuple[Output, ...]:
    found = draw(st.lists(names, max_size=maximum, unique=True))
    return tuple(draw(outputs(name)) for name in found)


def hashes(found: tuple[Output, ...]) -> dict[str, bytes]:
    return {output.name: output.hash for output in found}


def full(found: tuple[Output, ...]) -> Report:
    after = state_hash(hashes(found))
    return Report(new_ulid(NOW), b"", after, NOW, outputs=found, full=True, request_id="wish")


def delta(base: tuple[Output, ...], found: tuple[Output, ...], removed: tuple[str, ...]) -> Report:
    before = hashes(base)
    after = {name: value for name, value in before.items() if name not in removed}
    after |= hashes(found)
    return Report(new_ulid(NOW), state_hash(before), state_hash(after), NOW, "boot", found, removed)


def output(name: str = "one", json: bytes = b"{}") -> Output:
    return Output(name, OutputStatus.OK, json, "", NOW, None, local=False)


@given(output_lists())
def test_a_report_survives_the_wire(found: tuple[Output, ...]) -> None:
    report = full(found)
    data = report_to_message(report).SerializeToString()
    assert report_from_message(agent_pb2.SubmitReportRequest.FromString(data)) == report


@given(output_lists(), st.integers(1, 400))
def test_parts_of_a_full_report_chain_to_the_same_state(
    found: tuple[Output, ...], size: int
) -> None:
    report = full(found)
    parts = split_report(report, size)
    assert [part.full for part in parts] == [True] + [False] * (len(parts) - 1)
    assert parts[0].following == tuple(one.name for part in parts[1:] for one in part.outputs)
    follow(parts, {}, report, size)


@given(output_lists(), output_lists(), st.integers(1, 400))
def test_parts_of_a_delta_chain_to_the_same_state(
    base: tuple[Output, ...], found: tuple[Output, ...], size: int
) -> None:
    fresh = {one.name for one in found}
    removed = tuple(one.name for one in base[::2] if one.name not in fresh)
    report = delta(base, found, removed)
    follow(split_report(report, size, base=hashes(base)), hashes(base), report, size)


def follow(parts: list[Report], state: dict[str, bytes], report: Report, size: int) -> None:
    """Apply parts as the server does."""
    for part in parts:
        check_report(part)
        if part.full:
            state = {}
        else:
            assert part.base_hash == state_hash(state)
        state = {name: value for name, value in state.items() if name not in part.removed}
        state |= hashes(part.outputs)
        assert part.state_hash == state_hash(state)
        assert len(part.outputs) <= 1 or sum(map(output_size, part.outputs)) <= size
    assert parts[-1].state_hash == report.state_hash
    assert sum((part.outputs for part in parts), ()) == report.outputs
    assert len({part.report_id for part in parts}) == len(parts)
    assert [part.request_id for part in parts][-1] == report.request_id


def test_parts_have_the_same_ids_each_time() -> None:
    report = full(tuple(output(f"p{number}") for number in range(5)))
    assert split_report(report, 1) == split_report(report, 1)
    assert split_report(report, 1)[0].report_id == report.report_id


def test_a_delta_cannot_be_cut_without_its_base() -> None:
    report = delta((output("old"),), (output("a"), output("b")), ())
    with pytest.raises(ValueError, match="base"):
        split_report(report, 1)
    assert split_report(report) == [report]


def test_the_hash_sees_content_only() -> None:
    one = output()
    assert one.hash == replace(one, collected_time=NOW + timedelta(days=1)).hash
    assert len({one.hash, replace(one, local=True).hash, replace(one, reason="x").hash}) == 3
    assert one.hash != replace(one, status=OutputStatus.UNKNOWN).hash
    assert one.hash != replace(one, json=b"[]").hash


@given(st.dictionaries(names, st.binary(min_size=32, max_size=32)))
def test_the_state_hash_does_not_know_order(state: dict[str, bytes]) -> None:
    assert state_hash(state) == state_hash(dict(reversed(list(state.items()))))


def test_the_hashes_are_as_documented() -> None:
    framed = b"penguindome-v1\0state\x001\0a\x0032\0" + bytes(32)
    assert state_hash({"a": bytes(32)}) == hashlib.sha256(framed).digest()
    framed = b"penguindome-v1\0output\x002\0ok\x002\0{}\x000\0\x001\x000"
    assert output().hash == hashlib.sha256(framed).digest()


@pytest.mark.parametrize(
    "changes",
    [
        {"report_id": "x"},
        {"state_hash": b"x"},
        {"base_hash": bytes(32)},
        {"full": False},
        {"removed": ("old",)},
        {"removed": ("a/b",), "full": False, "base_hash": bytes(32)},
        {"following": ("later",), "full": False, "base_hash": bytes(32)},
        {"following": ("one",)},
        {"boot_id": "x" * 65},
        {"request_id": "a b"},
        {"outputs": (output(), output())},
        {"outputs": (output("../x"),)},
        {"outputs": (output("$where"),)},
        {"outputs": (output("a\n"),)},
        {"outputs": (output(""),)},
        {"outputs": (output(json=b""),)},
        {"outputs": (output(json=b"x" * (1024 * 1024 + 1)),)},
        {"outputs": (replace(output(), reason="a\nb"),)},
        {"outputs": (replace(output(), reason="x" * 1025),)},
        {"outputs": (replace(output(), status=OutputStatus.ERROR),)},
        {"outputs": (replace(output(), cached_time=NOW),)},
        {"outputs": tuple(output(f"p{number}") for number in range(257))},
        {"outputs": tuple(output(f"p{n}", b"x" * 1024 * 1024) for n in range(8))},
    ],
)
def test_bad_reports_are_refused(changes: dict) -> None:
    report = replace(full((output(),)), **changes)
    with pytest.raises(InvalidInput) as caught:
        check_report(report)
    assert caught.value.code == "bad-report"


@pytest.mark.parametrize(
    "facts",
    [
        {"json": b""},
        {"json": b"x" * (1024 * 1024 + 1)},
        {"reason": "a\nb"},
        {"reason": "x" * 1025},
        {"status": OutputStatus.ERROR},
        {"cached_time": NOW},
    ],
)
def test_the_output_to_blame_is_named(facts: dict) -> None:
    report = full((output("good"), replace(output("bad"), **facts)))
    with pytest.raises(InvalidInput) as caught:
        check_report(report)
    assert caught.value.subject == "bad"


@pytest.mark.parametrize(("name", "named"), [("bad", "bad"), ("../x", "")])
def test_an_unknown_status_names_the_output_if_it_is_a_name(name: str, named: str) -> None:
    message = report_to_message(full((output("good"), output("bad"))))
    message.outputs[1].name, message.outputs[1].status = name, 99
    with pytest.raises(InvalidInput) as caught:
        report_from_message(message)
    assert caught.value.subject == named


@pytest.mark.parametrize("field", ["collected_unix_ms", "status"])
def test_bad_messages_are_refused(field: str) -> None:
    message = report_to_message(full((output(),)))
    if field == "status":
        message.outputs[0].status = 99
    else:
        message.collected_unix_ms = 2**62
    with pytest.raises(InvalidInput):
        report_from_message(message)
