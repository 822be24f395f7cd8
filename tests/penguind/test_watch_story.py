"""A whole server whose certificate comes near its end, and is renewed."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from penguind.identity.authority import anchor_key
from penguind.identity.server_certificate import SERVER_LIFETIME, renew_server_certificates
from penguindome.v1 import issue_pb2, issue_pb2_grpc
from tests.harness.serving import running

SUBJECTS = ["server:certificate/bootstrap", "server:certificate/main"]


async def until(listed, wanted):
    found = None
    for _ in range(100):
        if (found := await listed()) == wanted:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(found)


async def is_found_by_name(issues, name):
    request = issue_pb2.ListIssuesRequest(selectors=[name])
    assert [one.hostname for one in (await issues.ListIssues(request)).issues] == [name]


def test_the_servers_certificate_is_told_before_its_end_until_it_is_renewed(mongo_uri):
    async def story(server):
        state_dir = server.settings.server.state_dir
        pairs = [(one.certificate, one.key) for one in server.settings.listeners]
        key = anchor_key(state_dir).read_bytes()
        # Somebody took the anchor's key off the machine, so that the server cannot help itself.
        anchor_key(state_dir).unlink()
        issues = issue_pb2_grpc.IssueServiceStub(server.channel(await server.operator()))

        def renew(left):
            now = datetime.now(UTC) - SERVER_LIFETIME + left
            assert renew_server_certificates(state_dir, pairs, now, key, due=False)

        async def listed():
            request = issue_pb2.ListIssuesRequest(names=["expiring-certificate"])
            found = (await issues.ListIssues(request)).issues
            return sorted(one.device_id for one in found)

        renew(timedelta(days=40))
        server.clock.move(minutes=2)
        await asyncio.sleep(1.5)
        assert await listed() == []
        server.clock.move(days=12)
        await until(listed, SUBJECTS)
        found = (await issues.ListIssues(issue_pb2.ListIssuesRequest())).issues
        ports = {one.hostname for one in found if one.device_id in SUBJECTS}
        assert ports == {f"server-port-{one.port}" for one in server.settings.listeners}
        await is_found_by_name(issues, min(ports))
        # A word that picks devices picks no part of the server.
        request = issue_pb2.ListIssuesRequest(selectors=["failing:expiring-certificate"])
        assert not (await issues.ListIssues(request)).issues
        renew(SERVER_LIFETIME)
        server.clock.move(minutes=2)
        await until(listed, [])

    async def main():
        async with asyncio.timeout(60), running(mongo_uri) as server:
            await story(server)

    asyncio.run(main())
