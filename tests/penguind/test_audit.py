"""The audit: events, the clock, absences and several at once."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from penguind.audit import MAX_WAITING
from penguind.domain.check import parse_check
from penguind.trial import CheckTrial
from penguind.verdicts import VerdictView
from tests.harness.judging import judging

OFF = {"firewall": {"status": "off"}}
ON = {"firewall": {"status": "on"}}
NAME = "firewall-disabled"
ODD = "name: odd\nsummary: s\nseverity: low\nremedy: r\nfails: {plugins.x.n: {$gt: 1}}\n"


@asynccontextmanager
async def running(bench):
    """Run the auditor beside the test."""
    task = asyncio.ensure_future(bench.auditor.run())
    try:
        yield
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(condition, seconds: float = 10) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 -- the database tells nobody
            await asyncio.sleep(0.02)


def test_issue_opens_with_evidence_and_closes_with_reason(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", {"firewall": {"status": "off", "a.b": {"$x": 1}}})
            assert await bench.audit() == ([NAME], [])
            assert await bench.audit() == ([], [])
            found = (await bench.issues.find_open(["d-one"]))[0]
            whole = await bench.issues.get(found.issue_id)
            assert whole.evidence == {"plugins.firewall.status": "off"}
            assert whole.data_time == bench.now
            bench.passes(minutes=1)
            await bench.report("d-one", ON)
            assert await bench.audit() == ([], [NAME])
            whole = await bench.issues.get(found.issue_id)
            assert [one.reason for one in whole.timeline] == ["", "the check passes"]
            assert bench.pushed == ["d-one", "d-one"]

    asyncio.run(run())


def test_not_knowing_neither_opens_nor_closes(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", OFF)
            await bench.audit()
            await bench.report("d-one", {"firewall": ("unknown", None)})
            assert await bench.audit() == ([], [])
            assert await bench.open_names("d-one") == [NAME]
            await bench.report("d-one", {})
            assert await bench.audit() == ([], [NAME])

    asyncio.run(run())


def test_only_active_devices_are_judged(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            for name in ("d-revoked", "d-deleted"):
                await bench.add(name, OFF)
            await bench.add("d-waiting", OFF, state="pending")
            await bench.audit()
            for name in ("d-revoked", "d-deleted"):
                await bench.devices.revoke(name, "lost", bench.now)
            await bench.devices.delete("d-deleted")
            assert await bench.audit() == ([], [NAME, NAME])
            closed = await bench.issues.find_closed()
            reasons = {
                one.device_id: (await bench.issues.get(one.issue_id)).timeline[-1].reason
                for one in closed
            }
            assert reasons == {
                "d-revoked": "the device was revoked",
                "d-deleted": "the device was deleted",
            }

    asyncio.run(run())


def test_worker_audits_at_start_on_events_and_by_the_clock(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", OFF)
            async with running(bench):
                await until(lambda: _has(bench, "d-one", [NAME]))
                await bench.report("d-one", ON)
                await bench.auditor.changed(["d-one", "d-one"])
                await until(lambda: _has(bench, "d-one", []))
                assert bench.auditor.audited_time("d-one") == bench.now
                bench.passes(hours=30)
                bench.auditor.request_full()
                await until(lambda: _has(bench, "d-one", ["not-reporting"]))

    asyncio.run(run())


async def _has(bench, device_id: str, names: list[str]) -> bool:
    return await bench.open_names(device_id) == names


def test_events_wait_when_too_many_are_waiting(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            ids = [f"d-{number}" for number in range(MAX_WAITING + 1)]
            await bench.auditor.changed(ids[:-1])
            await bench.auditor.changed(ids[:-1])
            held = asyncio.ensure_future(bench.auditor.changed(ids[-1:]))
            await asyncio.sleep(0.05)
            assert not held.done()
            async with running(bench):
                await asyncio.wait_for(held, 10)

    asyncio.run(run())


def test_two_audits_at_once_open_one_issue(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench, judging(mongo_uri) as other:
            other.database = bench.database
            other.__post_init__()
            await bench.add("d-one", OFF)
            found = await asyncio.gather(*(one.audit("d-one") for one in (bench, other) * 5))
            assert sum(len(opened) for opened, _ in found) == 1
            assert len(await bench.issues.find_open(["d-one"])) == 1
            await bench.report("d-one", ON)
            found = await asyncio.gather(*(one.audit("d-one") for one in (bench, other) * 5))
            assert await bench.open_names("d-one") == []

    asyncio.run(run())


def test_removed_check_closes_its_issues(mongo_uri, tmp_path):
    async def run() -> None:
        async with judging(mongo_uri, tmp_path) as bench:
            await bench.add("d-one", {**OFF, "x": {"n": 2}})
            (tmp_path / "odd.yaml").write_text(ODD)
            assert bench.checks.refresh()
            assert await bench.audit() == ([NAME, "odd"], [])
            (tmp_path / "odd.yaml").write_text(f"name: {NAME}\nenabled: false\n")
            assert bench.checks.refresh()
            assert await bench.audit() == ([], [NAME, "odd"])

    asyncio.run(run())


def test_edited_check_changes_the_words_of_open_issues(mongo_uri, tmp_path):
    async def run() -> None:
        async with judging(mongo_uri, tmp_path) as bench:
            await bench.add("d-one", {"x": {"n": 2}})
            (tmp_path / "odd.yaml").write_text(ODD)
            bench.checks.refresh()
            await bench.audit()
            (tmp_path / "odd.yaml").write_text(ODD.replace("low", "critical") + "grace: 1h\n")
            bench.checks.refresh()
            bench.passes(minutes=1)
            assert await bench.audit() == ([], [])
            found = (await bench.issues.find_open(["d-one"]))[0]
            assert found.severity == "critical"
            assert found.grace_until_time == found.opened_time + timedelta(hours=1)
            assert bench.pushed == ["d-one", "d-one"]
            await bench.audit()
            assert len(bench.pushed) == 2

    asyncio.run(run())


def test_clock_that_is_set_back_does_not_stop_the_schedule(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-two")
            await bench.auditor._turn()
            first = bench.auditor.last_full_time
            bench.passes(days=-300)
            await bench.add("d-one", OFF)
            await bench.auditor._turn()
            assert bench.auditor.last_full_time < first
            assert await bench.open_names("d-one") == [NAME]

    asyncio.run(run())


def test_check_that_the_database_cannot_run_spoils_no_other(mongo_uri, monkeypatch):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            for number in range(5):
                await bench.add(f"d-{number}", {"firewall": {"status": "off"}})
            bad = parse_check(ODD)
            bad.fails["plugins.x"] = {"$mod": [0, 0]}
            rules = [bad, *bench.checks.current.rules()]
            ids = [f"d-{number}" for number in range(5)]
            judged = await bench.queries.judge(rules, ids, bench.now)
            assert {one.verdicts["odd"] for one in judged} == {"unknown"}
            assert {one.verdicts[NAME] for one in judged} == {"fail"}
            assert len(judged) == 5

    asyncio.run(run())


def test_trial_of_a_check_opens_nothing(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", {"x": {"n": 2}})
            await bench.add("d-two", {"x": {"n": 1}})
            trial = CheckTrial(queries=bench.queries, devices=bench.devices)
            judged = await trial.run(parse_check(ODD), bench.now)
            assert {one.hostname: str(one.verdicts["odd"]) for one in judged} == {
                "one": "fail",
                "two": "pass",
            }
            assert await bench.issues.find_open() == []

    asyncio.run(run())


def test_device_sees_its_own_verdicts_the_worst_first(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", {**OFF, "hd_encryption": [], "sshd": ("error", None)})
            await bench.add("d-two", OFF)
            view = VerdictView(bench.issues, bench.auditor)
            assert (await view.of_device("d-one", bench.now)).audited_time is None
            await bench.audit()
            found = await view.of_device("d-one", bench.now)
            assert [one.check for one in found.verdicts] == [
                "unencrypted-hard-drive", NAME, "plugin-failing",
            ]  # fmt: skip
            assert all(one.remedy and one.summary for one in found.verdicts)
            assert found.verdicts[2].grace_until_time is not None
            assert found.verdicts[0].grace_until_time is None
            assert found.audited_time == bench.now

    asyncio.run(run())
