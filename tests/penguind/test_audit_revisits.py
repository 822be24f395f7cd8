"""What the audit looks at again though no changed report asks for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from penguind.domain.check import Check
from penguind.domain.issue import opened_issue
from penguind.domain.verdict import Judged
from penguindome.v1 import device_pb2
from tests.harness.judging import judging
from tests.harness.serving import running

OFF = {"firewall": {"status": "off"}}
NAME = "firewall-disabled"


def test_silence_ends_with_an_unchanged_report_within_a_minute(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", OFF)
            await bench.auditor._turn()
            bench.passes(hours=30)
            await bench.auditor._turn()
            assert await bench.open_names("d-one") == [NAME, "not-reporting"]
            bench.passes(minutes=1)
            await bench.report("d-one", OFF)
            # An event about another device wakes the worker; nobody announces this one's report.
            await bench.auditor.changed(["d-none"])
            await bench.auditor._turn()
            assert await bench.open_names("d-one") == [NAME]

    asyncio.run(run())


def test_revoked_device_loses_its_issues_within_a_minute(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", OFF)
            await bench.auditor._turn()
            await bench.devices.revoke("d-one", "lost", bench.now)
            bench.passes(minutes=1)
            await bench.auditor.changed(["d-none"])
            await bench.auditor._turn()
            assert await bench.open_names("d-one") == []

    asyncio.run(run())


def test_closed_by_hand_it_opens_again_with_an_unchanged_report_within_a_minute(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", OFF)
            await bench.auditor._turn()
            (issue,) = await bench.issues.find_open(["d-one"])
            bench.passes(seconds=1)
            await bench.desk.close([issue.issue_id], operator="ann", reason="", now=bench.now)
            await bench.auditor._turn()
            assert await bench.open_names("d-one") == []
            bench.passes(minutes=1)
            await bench.report("d-one", OFF)
            bench.auditor.request(["d-none"])
            await bench.auditor._turn()
            assert await bench.open_names("d-one") == [NAME]

    asyncio.run(run())


def test_a_revoked_device_loses_its_issues_at_once(mongo_uri):
    async def run() -> None:
        async with asyncio.timeout(60), running(mongo_uri) as server:
            device, _ = await server.enroll()
            judged = Judged(device.name, "web-1", server.clock())
            check = Check(name="lost-badge", summary="s", remedy="r")
            issue = opened_issue(check, judged, now=server.clock(), evidence={})
            await server.stores.issues.insert([replace(issue, source="operator")])
            # Let the audit at the start, and what follows it within a minute, be over.
            await asyncio.sleep(0.5)
            stub = server.devices(await server.operator())
            await stub.RevokeDevice(device_pb2.RevokeDeviceRequest(device_id=device.name))
            async with asyncio.timeout(5):
                while await server.stores.issues.find_open([device.name]):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

    asyncio.run(run())
