"""A problem's life over two weeks: grace in office hours, cadence, snoozes, reopening."""

from __future__ import annotations

import asyncio
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from penguindome.report_wire import report_to_message
from penguindome.times import to_unix_ms
from penguindome.v1 import device_pb2, issue_pb2
from penguindome.v1.issue_pb2_grpc import IssueServiceStub
from tests.harness.database import mongo_uri
from tests.harness.reporter import Reporter
from tests.harness.serving import refusal, running

__all__ = ["mongo_uri"]

ZONE = ZoneInfo("US/Eastern")
FRIDAY = 4
SETTINGS = """
[calendars.office]
time_zone = "US/Eastern"
working_days = ["monday", "tuesday", "wednesday", "thursday", "friday"]
working_hours = ["09:00-17:00"]

[checks]
directory = "{folder}"
"""
CHECK = """
name: drawer-open
summary: The drawer is open
severity: low
remedy: Close it.
grace: 2h
alert_period: 4h
calendar: office
fails: {plugins.drawer.open: true}
"""


class Life:
    """One device, one operator, and a clock that is moved."""

    def __init__(self, server, device, issues, devices):
        self.server, self.device = server, device
        self.issues, self.devices = issues, devices
        self.reporter = Reporter(device.name, time=server.clock())
        self.told = 0

    def travel(self, days, clock):
        """Go to a time of the day, local, so many days after the coming Friday."""
        now = self.server.clock().astimezone(ZONE)
        if not hasattr(self, "friday"):
            self.friday = now.date() + timedelta(days=(FRIDAY - now.weekday()) % 7 or 7)
        there = datetime.combine(
            self.friday + timedelta(days=days), time.fromisoformat(clock), ZONE
        )
        self.server.clock.offset += there - now
        assert there > now

    async def reports(self, **values):
        """Hand a report in, of nothing changed if nothing is given."""
        self.reporter.time = self.server.clock()
        first = not self.reporter.outputs
        made = self.reporter.set(**values)
        report = self.reporter.full() if first else self.reporter.delta(*made)
        agent = self.server.agent(self.device)
        assert (await agent.SubmitReport(report_to_message(report))).stored

    async def audit(self, **flags):
        """Return names that stand, and what is held back."""
        answer = await self.issues.AuditDevices(issue_pb2.AuditDevicesRequest(**flags))
        mine = [one for one in answer.standing if one.name == "drawer-open"]
        return len(mine), dict(answer.held_back)

    async def open(self):
        found = await self.issues.ListIssues(issue_pb2.ListIssuesRequest(names=["drawer-open"]))
        return found.issues[0] if found.issues else None

    async def snooze(self, issue_id, **span):
        until = to_unix_ms(self.server.clock() + timedelta(**span))
        await self.issues.SnoozeIssues(
            issue_pb2.SnoozeIssuesRequest(
                issue_ids=[issue_id], until_unix_ms=until, reason=f"for {span}"
            )
        )


async def grace_and_cadence(life):
    life.travel(0, "16:00")
    await life.reports(drawer={"open": True})
    assert await life.audit() == (0, {"grace": 1})
    assert (await life.audit(ignore_grace=True))[0] == 1
    life.travel(1, "12:00")
    assert await life.audit() == (0, {"grace": 1})
    life.travel(3, "09:59")
    assert await life.audit() == (0, {"grace": 1})
    life.travel(3, "10:01")
    assert await life.audit() == (1, {})
    await life.audit(update_recent=True)
    assert await life.audit() == (0, {"recent": 1})
    assert (await life.audit(ignore_recent=True))[0] == 1
    life.travel(3, "13:58")
    assert await life.audit() == (0, {"recent": 1})
    life.travel(3, "14:03")
    assert await life.audit() == (1, {})


async def nobody_to_mail(life):
    """Where mail is switched off, an audit that is to mail does nothing at all."""
    life.travel(3, "14:03:30")
    await life.reports(drawer={"open": True, "by": "bob"})
    before = await life.open()
    error = await refusal(life.audit(mail_users=True, update_recent=True))
    assert error.code == "no-mail"
    assert (await life.open()).alerted_unix_ms == before.alerted_unix_ms


async def snoozes(life):
    issue = await life.open()
    await life.snooze(issue.issue_id, days=3)
    assert await life.audit() == (0, {"snoozed": 1})
    await life.snooze(issue.issue_id, minutes=20)
    life.travel(3, "14:22")
    assert (await life.audit(ignore_snoozed=True))[0] == 1
    life.travel(3, "14:24")
    assert await life.audit() == (1, {})
    await life.snooze(issue.issue_id, hours=9)
    await life.issues.UnsnoozeIssues(
        issue_pb2.UnsnoozeIssuesRequest(issue_ids=[issue.issue_id], reason="the part came")
    )
    assert await life.audit() == (1, {})
    shown = await life.issues.GetIssue(issue_pb2.GetIssueRequest(issue_id=issue.issue_id))
    events = [(one.event, one.actor) for one in shown.issue.timeline]
    assert events == [
        ("opened", "server"),
        ("alerted", "server"),
        *[("snoozed", "alice")] * 3,
        ("unsnoozed", "alice"),
    ]
    assert shown.issue.timeline[-1].reason == "the part came"


async def suspension(life):
    request = device_pb2.SuspendDevicesRequest(device_ids=[life.device.name], reason="holiday")
    assert list((await life.devices.SuspendDevices(request)).device_ids) == [life.device.name]
    assert not (await life.devices.SuspendDevices(request)).device_ids
    assert await life.audit() == (0, {"suspended": 1})
    assert (await life.audit(ignore_suspended=True))[0] == 1
    life.travel(3, "15:00")
    await life.reports()
    assert await life.audit() == (1, {})
    again = device_pb2.UnsuspendDevicesRequest(device_ids=[life.device.name])
    assert not (await life.devices.UnsuspendDevices(again)).device_ids


async def reopening(life):
    first = await life.open()
    await life.issues.CloseIssues(
        issue_pb2.CloseIssuesRequest(issue_ids=[first.issue_id], reason="it is fine")
    )
    assert await life.audit(ignore_grace=True) == (0, {})
    life.travel(4, "10:00")
    assert await life.audit(ignore_grace=True) == (0, {})
    await life.reports(drawer={"open": True, "by": "ann"})
    assert await life.audit() == (0, {"grace": 1})
    second = await life.open()
    assert second.issue_id != first.issue_id
    await life.snooze(second.issue_id, days=2)
    await life.reports(drawer={"open": False})
    assert await life.audit() == (0, {})
    life.travel(4, "11:00")
    await life.reports(drawer={"open": True})
    assert await life.audit() == (0, {"grace": 1})
    life.travel(4, "13:01")
    assert await life.audit() == (1, {})


def test_a_problem_lives_for_two_weeks(mongo_uri, tmp_path):
    (tmp_path / "drawer.yaml").write_text(CHECK)
    # Its silence over the weekend is another story.
    (tmp_path / "silence.yaml").write_text("name: not-reporting\nenabled: false\n")

    async def story():
        async with running(mongo_uri, SETTINGS.format(folder=tmp_path)) as server:
            alice, (device, _) = await server.operator(), await server.enroll()
            life = Life(
                server, device, IssueServiceStub(server.channel(alice)), server.devices(alice)
            )
            for part in (grace_and_cadence, nobody_to_mail, snoozes, suspension, reopening):
                await part(life)

    asyncio.run(story())
