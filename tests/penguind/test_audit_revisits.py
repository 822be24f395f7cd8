"""What the audit looks at again though no changed report asks for it."""

from __future__ import annotations

import asyncio

from tests.harness.judging import judging

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
            bench.auditor.request([])
            await bench.auditor._turn()
            assert await bench.open_names("d-one") == [NAME]

    asyncio.run(run())
