"""The life of an issue, without and with the database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from penguind.domain.check import Check
from penguind.domain.evidence import MAX_BYTES, gather
from penguind.domain.issue import closing_reason, may_open, opened_issue, worst_first
from penguind.domain.verdict import Judged, Matches, Verdict, verdict_of
from penguindome.errors import InvalidInput, NotFound, PreconditionFailed
from tests.harness.judging import judging

NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
CHECK = Check(name="a", summary="s", remedy="r", severity="high", grace_period=timedelta(hours=4))
OFF = {"firewall": {"status": "off"}}
ON = {"firewall": {"status": "on"}}
NAME = "firewall-disabled"


def judged(verdict: Verdict = Verdict.FAIL) -> Judged:
    return Judged("d-one", "one", NOW, verdicts={"a": verdict})


def issue(**values):
    return opened_issue(CHECK, judged(), now=NOW, evidence={"x": 1}, **values)


def test_grace_ends():
    assert issue().grace_until_time == NOW + timedelta(hours=4)
    assert issue().in_grace(NOW + timedelta(hours=3))
    assert not issue().in_grace(NOW + timedelta(hours=4))


def test_closing_is_in_the_timeline():
    closed = issue().closed(now=NOW, reason="seen to", operator="ann")
    assert not closed.open
    assert closed.closed_by == "ann"
    assert [(one.event, one.actor) for one in closed.timeline] == [
        ("opened", "server"),
        ("closed", "ann"),
    ]


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [
        (Verdict.FAIL, None),
        (Verdict.UNKNOWN, None),
        (Verdict.PASS, "the check passes"),
        (Verdict.NOT_APPLICABLE, "the check no longer applies"),
    ],
)
def test_only_knowledge_closes(verdict, reason):
    assert closing_reason(issue(), judged(verdict), {"a": CHECK}) == reason


def test_check_that_is_gone_closes_and_operators_issues_stay():
    assert closing_reason(issue(), judged(), {}) == "the check was removed or disabled"
    assert closing_reason(issue(source="operator"), judged(Verdict.PASS), {"a": CHECK}) is None


def test_reopening_needs_newer_data():
    assert may_open(judged(), None)
    assert may_open(judged(), NOW - timedelta(seconds=1))
    assert not may_open(judged(), NOW)
    assert not may_open(judged(), NOW + timedelta(days=1))


def test_the_worst_comes_first():
    issues = [
        issue(),
        opened_issue(Check(name="z", severity="critical"), judged(), now=NOW, evidence={}),
    ]
    assert [one.name for one in sorted(issues, key=worst_first)] == ["z", "a"]


@pytest.mark.parametrize(
    ("status", "matches", "expected"),
    [
        ("ok", Matches(fails=True, unknown=True), "fail"),
        ("ok", Matches(fails=False, unknown=True), "unknown"),
        ("ok", Matches(fails=True, applies=False), "not-applicable"),
        ("cached", Matches(fails=False), "pass"),
        ("error", Matches(fails=True), "unknown"),
        ("timeout", Matches(fails=False, applies=False), "unknown"),
        ("not-applicable", Matches(fails=True), "not-applicable"),
    ],
)
def test_verdicts(status, matches, expected):
    assert verdict_of("p", {"p": status}, matches) == expected


def test_absent_output_is_not_applicable_and_no_output_is_needed_without_plugin():
    assert verdict_of("p", {}, Matches(fails=True)) == "not-applicable"
    assert verdict_of("", {}, Matches(fails=True)) == "fail"


def test_evidence_follows_paths_through_lists_and_stays_small():
    document = {
        "plugins": {"a": [{"b": 1}, {"b": 2}, 3], "big": "é" * 9000, "t": NOW, "n": None},
        "outputs": [{"name": "x", "status": "error"}, {"name": "y", "status": "ok"}],
    }
    found = gather(
        document,
        ["plugins.a.b", "plugins.a.1.b", "plugins.a.9", "plugins.big", "plugins.t", "plugins.n",
         "plugins.no", "outputs"],
    )  # fmt: skip
    assert found["plugins.a.b"] == [1, 2]
    assert found["plugins.a.1.b"] == 2
    assert found["plugins.t"] == "2026-03-02T12:00:00Z"
    assert found["plugins.n"] is None
    assert found["outputs"] == [{"name": "x", "status": "error", "reason": ""}]
    assert found["plugins.big"].endswith("…")
    assert not {"plugins.a.9", "plugins.no"} & set(found)
    many = gather({"plugins": {str(n): "x" * 2000 for n in range(30)}},
                  [f"plugins.{n}" for n in range(30)])  # fmt: skip
    assert len(str(many)) < MAX_BYTES


def test_manual_close_holds_until_newer_data(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", OFF)
            bench.passes(minutes=1)
            assert await bench.audit() == ([NAME], [])
            found = (await bench.desk.find(["one"]))[0]
            closed = await bench.desk.close(
                [found.issue_id], operator="ann", reason="known", now=bench.now
            )
            assert [one.name for one in closed] == [NAME]
            bench.passes(minutes=1)
            assert await bench.audit() == ([], [])
            assert await bench.open_names("d-one") == []
            await bench.report("d-one", OFF)
            assert await bench.audit() == ([NAME], [])
            kept = await bench.issues.get(found.issue_id)
            assert [one.actor for one in kept.timeline] == ["server", "ann"]
            assert kept.closed_by == "ann"

    asyncio.run(run())


def test_operators_issue_outlives_audits_and_is_one(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", ON)
            words = {"operator": "ann", "reason": "look", "now": bench.now}
            first, opened = await bench.desk.open("d-one", NAME, severity="", **words)
            assert opened
            assert first.severity == "high"
            again, opened = await bench.desk.open("d-one", NAME, severity="low", **words)
            assert (again.issue_id, opened) == (first.issue_id, False)
            free, _ = await bench.desk.open("d-one", "lost-badge", severity="low", **words)
            assert await bench.audit() == ([], [])
            assert await bench.open_names("d-one") == [NAME, "lost-badge"]
            found = await bench.issues.get(free.issue_id)
            assert found.timeline[0].actor == "ann"
            assert found.timeline[0].reason == "look"
            assert bench.pushed == ["d-one", "d-one"]

    asyncio.run(run())


def test_bad_words_of_operators_are_refused(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one")
            await bench.add("d-old", state="revoked")
            usual = {"operator": "ann", "reason": "", "severity": "", "now": bench.now}
            for error, device, name, changes in (
                (InvalidInput, "d-one", "No Name", {}),
                (InvalidInput, "d-one", "a", {"severity": "bad"}),
                (InvalidInput, "d-one", "a", {"reason": "x" * 1001}),
                (NotFound, "d-none", "a", {}),
                (PreconditionFailed, "d-old", "a", {}),
            ):
                with pytest.raises(error):
                    await bench.desk.open(device, name, **{**usual, **changes})
            with pytest.raises(NotFound):
                await bench.desk.close(["x"], operator="ann", reason="", now=bench.now)

    asyncio.run(run())
