"""The services of issues, checks and the trail: what is in their answers."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta

import pytest

from penguind.caller import Caller, enter
from penguind.due import DueIssues
from penguind.services.check import CheckService
from penguind.services.convert_agent import verdicts_message
from penguind.services.issue import IssueService
from penguind.services.trail import TrailService
from penguind.snoozing import Snoozing
from penguind.standing_audit import StandingAudit
from penguind.store.overview import Overview
from penguind.store.trail_queries import TrailQueries
from penguind.suspension import Suspensions
from penguind.trial import CheckTrial
from penguind.verdicts import VerdictView
from penguindome.errors import InvalidInput, NotFound
from penguindome.times import to_unix_ms
from penguindome.v1 import check_pb2, issue_pb2, trail_pb2
from tests.harness.judging import NOW, judging

NAME = "firewall-disabled"
OFF = {"firewall": {"status": "off"}}
TEST_CHECK = "name: odd\nsummary: s\nseverity: low\nremedy: r\nfails: {plugins.x.n: {$gt: 1}}\n"


def issue_service(bench) -> IssueService:
    enter(Caller("operator", "ann", frozenset({"admin"}), "ipv4:1"))

    async def nothing(issues, now):
        return set()

    due = DueIssues(
        issues=bench.issues,
        checks=bench.checks,
        suspensions=Suspensions(bench.devices, Overview(bench.database), bench.clock),
        filtered=nothing,
    )

    # Whoever is mailed here would need a server.
    async def look(now):
        del now

    audit = StandingAudit(
        auditor=bench.auditor, look=look, due=due, alerts=None, issues=bench.issues
    )
    return IssueService(
        desk=bench.desk,
        snoozing=Snoozing(bench.issues, bench.pushed.append),
        audit=audit,
        due=due,
        selector=bench.selector,
        clock=bench.clock,
    )


def check_service(bench) -> CheckService:
    trial = CheckTrial(queries=bench.queries, devices=bench.devices)
    return CheckService(checks=bench.checks, trial=trial, clock=bench.clock)


def test_issue_from_audit_to_close(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            service = issue_service(bench)
            await bench.add("d-one", {**OFF, "hd_encryption": []})
            audited = await service.AuditDevices(issue_pb2.AuditDevicesRequest(), None)
            assert (audited.devices, len(audited.opened)) == (1, 2)
            request = issue_pb2.ListIssuesRequest(selectors=["one"], names=["fire*"])
            listed = await service.ListIssues(request, None)
            assert [one.name for one in listed.issues] == [NAME]
            assert not listed.issues[0].evidence
            assert not listed.issues[0].timeline
            request = issue_pb2.GetIssueRequest(issue_id=listed.issues[0].issue_id)
            whole = (await service.GetIssue(request, None)).issue
            assert json.loads(whole.evidence) == {"plugins.firewall.status": "off"}
            assert whole.opened_unix_ms == to_unix_ms(NOW)
            request = issue_pb2.CloseIssuesRequest(issue_ids=[whole.issue_id], reason="seen to")
            closed = await service.CloseIssues(request, None)
            assert [one.state for one in closed.closed] == ["closed"]
            assert not (await service.CloseIssues(request, None)).closed
            request = issue_pb2.ListIssuesRequest(include_closed=True)
            states = [one.state for one in (await service.ListIssues(request, None)).issues]
            assert states == ["open", "closed"]
            request = issue_pb2.GetIssueRequest(issue_id=whole.issue_id)
            last = (await service.GetIssue(request, None)).issue.timeline[-1]
            assert (last.actor, last.reason) == ("ann", "seen to")

    asyncio.run(run())


def test_issue_opened_by_hand(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            service = issue_service(bench)
            await bench.add("d-one")
            request = issue_pb2.OpenIssueRequest(
                device_id="d-one", name="lost-badge", reason="said so", severity="low"
            )
            assert (await service.OpenIssue(request, None)).opened
            assert not (await service.OpenIssue(request, None)).opened
            with pytest.raises(NotFound):
                await service.GetIssue(issue_pb2.GetIssueRequest(issue_id="none"), None)
            request = issue_pb2.AuditDevicesRequest(selectors=["web-9"])
            with pytest.raises(NotFound):
                await service.AuditDevices(request, None)

    asyncio.run(run())


def test_checks_are_listed_got_and_tried(mongo_uri, tmp_path):
    async def run() -> None:
        (tmp_path / "bad.yaml").write_text("name: bad\nfails: {$where: x}\n")
        async with judging(mongo_uri, tmp_path) as bench:
            service = check_service(bench)
            await bench.add("d-one", {**OFF, "x": {"n": 2}})
            await bench.add("d-two", {"firewall": {"status": "on"}})
            await bench.add("d-three", {"firewall": ("error", None)})
            await bench.add("d-four")
            listed = await service.ListChecks(check_pb2.ListChecksRequest(), None)
            assert [one.name for one in listed.checks] == sorted(one.name for one in listed.checks)
            assert [one.origin for one in listed.problems] == ["bad.yaml"]
            found = await service.GetCheck(check_pb2.GetCheckRequest(name=NAME), None)
            assert [one.hostname for one in found.verdicts.failing] == ["one"]
            assert [one.hostname for one in found.verdicts.unknown] == ["three"]
            assert (found.verdicts.passing, found.verdicts.not_applicable) == (1, 1)
            tried = await service.TestCheck(check_pb2.TestCheckRequest(source=TEST_CHECK), None)
            assert [one.device_id for one in tried.verdicts.failing] == ["d-one"]
            assert tried.check.source == TEST_CHECK
            with pytest.raises(NotFound):
                await service.GetCheck(check_pb2.GetCheckRequest(name="odd"), None)
            with pytest.raises(InvalidInput):
                await service.TestCheck(check_pb2.TestCheckRequest(source="x: ["), None)

    asyncio.run(run())


def trail_rows(count: int, size: int = 1):
    return [
        {
            "_id": f"r/{number:05d}",
            "device_id": "d-one" if number % 2 else "d-two",
            "hostname": "one",
            "received_time": NOW + timedelta(seconds=number),
            "collected_time": NOW,
            "type": "change",
            "key": f"plugins.{'sshd' if number < 5 else 'x'}.a%2Eb",
            "old": {"$int%2E": None} if number else None,
            "new": "x" * size,
        }
        for number in range(count)
    ]


def test_trail_is_newest_first_and_narrowed(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            trail = TrailQueries(bench.database)
            service = TrailService(trail=trail, selector=bench.selector)
            await bench.add("d-one")
            await bench.database.db["trail"].insert_many(trail_rows(10))

            async def ids(**values) -> list[int]:
                found = await service.ListTrail(trail_pb2.ListTrailRequest(**values), None)
                return [int(one.entry_id[2:]) for one in found.entries]

            assert await ids() == list(range(9, -1, -1))
            assert await ids(limit=2) == [9, 8]
            assert await ids(key_prefix="plugins.sshd.") == [4, 3, 2, 1, 0]
            assert await ids(device_id="d-two", limit=1) == [8]
            assert await ids(selectors=["one"], limit=2) == [9, 7]
            assert await ids(since_unix_ms=to_unix_ms(NOW + timedelta(seconds=8))) == [9, 8]
            found = await service.ListTrail(trail_pb2.ListTrailRequest(limit=9), None)
            assert found.more
            assert json.loads(found.entries[0].new_json) == "x"
            with pytest.raises(InvalidInput):
                await ids(limit=10_001)

    asyncio.run(run())


def test_trail_of_large_values_fits_into_a_message(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            trail = TrailQueries(bench.database)
            service = TrailService(trail=trail, selector=bench.selector)
            await bench.database.db["trail"].insert_many(trail_rows(8, size=700_000))
            found = await service.ListTrail(trail_pb2.ListTrailRequest(), None)
            assert found.more
            assert found.ByteSize() < 4 << 20

    asyncio.run(run())


def test_verdicts_of_a_device_as_a_message(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", OFF)
            view = VerdictView(bench.issues, bench.auditor)
            empty = verdicts_message(await view.of_device("d-one", bench.now))
            assert (len(empty.verdicts), empty.audited_unix_ms) == (0, 0)
            await bench.audit()
            found = verdicts_message(await view.of_device("d-one", bench.now))
            assert [one.check for one in found.verdicts] == [NAME]
            assert found.audited_unix_ms == to_unix_ms(bench.now)

    asyncio.run(run())
