from __future__ import annotations

import asyncio
from datetime import UTC, timedelta

from hypothesis import given
from hypothesis import strategies as st

from penguind.domain.history import SLOT, slot, spread
from penguindome.report_wire import report_to_message
from penguindome.times import to_unix_ms
from penguindome.v1 import server_pb2 as pb
from penguindome.v1.server_pb2_grpc import ServerServiceStub
from tests.harness.reporter import Reporter
from tests.harness.serving import running


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_slot_begins_at_a_quarter_of_an_hour_and_holds_its_moment(moment):
    begin = slot(moment)
    assert begin <= moment < begin + SLOT
    assert begin.minute % 15 == begin.second == begin.microsecond == 0


@given(st.lists(st.integers(), max_size=60, unique=True), st.integers(1, 40))
def test_what_is_spread_keeps_order_and_ends(items, limit):
    kept = spread(items, limit)
    assert len(kept) == min(limit, len(items))
    assert kept == [one for one in items if one in set(kept)]
    if limit > 1 and items:
        assert kept[0] == items[0]
    if items:
        assert kept[-1] == items[-1]


async def say(server, device, **values):
    reporter = Reporter(device.name, time=server.clock())
    reporter.set(**values)
    answer = await server.agent(device).SubmitReport(report_to_message(reporter.full()))
    assert answer.stored


async def story(uri):
    async with running(uri) as server:
        service = ServerServiceStub(server.channel(await server.operator()))
        quiet, _ = await server.enroll(hostname="quiet")
        web, _ = await server.enroll(hostname="web")
        await say(server, web, firewall={"status": "off"})
        await look_at_history(server, service)
        server.clock.move(days=2)
        seen = await service.GetOverview(pb.GetOverviewRequest())
        assert (seen.devices, len(seen.trend)) == (2, 2)
        assert {one.device_id for one in seen.silent} == {quiet.name, web.name}
        firewall = {one.name: one for one in seen.checks}["firewall-disabled"]
        assert (firewall.failing, firewall.passing) == (1, 0)
        assert firewall.not_applicable + firewall.unknown == 1
        assert seen.checks[0].failing
        one = await service.GetOverview(pb.GetOverviewRequest(selectors=[web.name]))
        assert (one.devices, len(one.silent), one.silent_devices) == (1, 1, 1)


async def look_at_history(server, service):
    history = server.application.workers["history"].__self__
    first = await history.take()
    assert (first.reports_stored, first.reporting_devices) == (1, 1)
    assert first.devices == {"active": 2}
    assert not await server.stores.history.insert(first)
    server.clock.move(minutes=15)
    await history.take()
    since = to_unix_ms(server.clock() - timedelta(days=1))
    listed = await service.ListHistory(pb.ListHistoryRequest(since_unix_ms=since))
    assert [one.reports_stored for one in listed.samples] == [1, 0]


def test_history_and_overview_tell_what_is_there(mongo_uri):
    asyncio.run(story(mongo_uri))
