from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import grpc.aio
import pytest

from penguind.presence import CollectNow, TrustChanged, VerdictsChanged
from penguind.rates import RateLimits
from penguindome.error_wire import from_rpc_error
from penguindome.errors import InvalidInput, LimitExceeded, Unauthenticated, Unavailable
from penguindome.report_wire import report_to_message
from penguindome.times import to_unix_ms
from penguindome.v1 import agent_pb2 as pb
from tests.harness.agent_service import serving
from tests.harness.reporter import NOW, Reporter


def run(uri, story, **options):
    async def main():
        async with serving(uri, **options) as (server, stub), asyncio.timeout(30):
            await story(server, stub)

    asyncio.run(main())


def hello(**facts):
    device_time = to_unix_ms(NOW + timedelta(seconds=5))
    return pb.CheckInRequest(
        hostname="web-1", agent_version="1.0\x1b", device_time_unix_ms=device_time, **facts
    )


def check_in(stub, device_id="d-1", **facts):
    return stub.CheckIn(hello(**facts), metadata=(("device", device_id),))


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 -- looks at the server from outside
            await asyncio.sleep(0.005)


def test_stream_story(mongo_uri):
    async def story(server, stub):
        await server.states.create("d-1", NOW)
        call = check_in(stub)
        welcome = (await call.read()).welcome
        assert welcome.server_time_unix_ms == to_unix_ms(NOW)
        assert welcome.state_hash == b""
        assert welcome.trust_version == 7
        assert welcome.settings.version == 3
        assert welcome.settings.plugin_interval_seconds == {"disk": 3600}
        facts = server.seen.facts["d-1"]
        assert facts["hostname"] == "web-1"
        assert facts["agent_version"] == "1.0"
        assert facts["clock_skew_ms"] == 5000
        assert facts["peer_address"] == "127.0.0.1"
        assert server.presence.connected("d-1")
        server.presence.push("d-1", CollectNow(("disk",), "r-1"))
        server.presence.push("d-1", TrustChanged(8))
        server.presence.push("d-1", VerdictsChanged())
        assert (await call.read()).collect_now == pb.CollectNow(plugins=["disk"], request_id="r-1")
        assert (await call.read()).trust_changed.version == 8
        assert (await call.read()).HasField("verdicts_changed")
        call.cancel()
        await until(lambda: not server.presence.connected("d-1"))

    run(mongo_uri, story)


def test_quiet_stream_shows_signs_of_life(mongo_uri):
    async def story(_, stub):
        call = check_in(stub)
        await call.read()
        assert (await call.read()).HasField("heartbeat")
        assert (await call.read()).HasField("heartbeat")
        call.cancel()

    run(mongo_uri, story, heartbeat_seconds=0.05)


def test_revoked_device_loses_its_stream_at_once(mongo_uri):
    async def story(server, stub):
        call = check_in(stub)
        await call.read()
        other = check_in(stub, "d-2")
        await other.read()
        started = time.monotonic()
        server.identities.revoke_device("d-1")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert time.monotonic() - started < 0.05
        assert isinstance(from_rpc_error(caught.value), Unauthenticated)
        assert server.presence.connected_ids() == {"d-2"}
        other.cancel()

    run(mongo_uri, story)


def test_newest_stream_of_a_device_wins(mongo_uri):
    async def story(server, stub):
        former = check_in(stub)
        await former.read()
        newest = check_in(stub)
        await newest.read()
        assert (await former.read()).go_away.retry_after_seconds == 30
        assert await former.read() is grpc.aio.EOF
        assert server.presence.push("d-1", VerdictsChanged())
        assert (await newest.read()).HasField("verdicts_changed")
        newest.cancel()

    run(mongo_uri, story)


def test_drain_says_goodbye_to_all(mongo_uri):
    async def story(server, stub):
        calls = [check_in(stub, f"d-{number}") for number in range(20)]
        for call in calls:
            await call.read()
        server.presence.drain(retry_after_seconds=9, reason="restart")
        for call in calls:
            assert (await call.read()).go_away == pb.GoAway(retry_after_seconds=9, reason="restart")
            assert await call.read() is grpc.aio.EOF
        await until(lambda: server.presence.count() == 0)

    run(mongo_uri, story)


def test_reports_over_the_wire(mongo_uri):
    async def story(server, stub):
        await server.states.create("d-1", NOW)
        device, metadata = Reporter("d-1"), (("device", "d-1"),)
        device.set(ssh={"port": 22})
        for report in (device.full(), device.delta(*device.set(ssh={"port": 23})), device.delta()):
            answer = await stub.SubmitReport(report_to_message(report), metadata=metadata)
            assert (answer.stored, answer.state_hash) == (True, report.state_hash)
        assert server.looked_up == ["d-1"]
        # A device speaks for itself only: the message has no field for another.
        assert await server.states.snapshot("d-2") is None
        bad = report_to_message(device.delta())
        bad.report_id = "../../etc"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.SubmitReport(bad, metadata=metadata)
        assert isinstance(from_rpc_error(caught.value), InvalidInput)
        verdicts = await stub.ListVerdicts(pb.ListVerdictsRequest(), metadata=metadata)
        assert verdicts.audited_unix_ms == to_unix_ms(NOW)

    run(mongo_uri, story)


def test_quota_says_when_to_come_again(mongo_uri):
    async def story(server, stub):
        await server.states.create("d-1", NOW)
        device, metadata = Reporter("d-1"), (("device", "d-1"),)
        await stub.SubmitReport(report_to_message(device.full()), metadata=metadata)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.SubmitReport(report_to_message(device.delta()), metadata=metadata)
        error = from_rpc_error(caught.value)
        assert isinstance(error, LimitExceeded)
        assert error.retry_after_seconds == 60

    run(mongo_uri, story, limits=RateLimits(reports_per_minute=1, report_burst=1))


def test_presence_is_noted_also_after_an_outage(mongo_uri):
    async def story(server, stub):
        server.seen.failures = [Unavailable("gone"), Unavailable("gone")]
        call = check_in(stub)
        await call.read()
        await until(lambda: ["d-1"] in server.seen.noted)
        call.cancel()
        await until(lambda: not server.presence.connected("d-1"))
        server.seen.noted.clear()
        # Once more after it left, then no more.
        await asyncio.sleep(0.1)
        assert len(server.seen.noted) <= 1

    run(mongo_uri, story)


def test_absurd_clock_is_clamped(mongo_uri):
    async def story(server, stub):
        request = hello()
        request.device_time_unix_ms = to_unix_ms(datetime(9999, 1, 1, tzinfo=UTC))
        call = stub.CheckIn(request, metadata=(("device", "d-1"),))
        await call.read()
        assert server.seen.facts["d-1"]["clock_skew_ms"] == 36_500 * 86_400_000
        call.cancel()

    run(mongo_uri, story)


def test_a_refusal_names_the_output_to_blame(mongo_uri):
    async def story(server, stub):
        await server.states.create("d-1", NOW)
        reporter = Reporter("d-1")
        reporter.set(good=1, bad=2)
        message = report_to_message(reporter.full())
        culprit = next(each for each in message.outputs if each.name == "bad")
        culprit.reason = "two\nlines"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.SubmitReport(message, metadata=(("device", "d-1"),))
        error = from_rpc_error(caught.value)
        assert (type(error), error.subject) == (InvalidInput, "bad")

    run(mongo_uri, story)
