"""A server that is told to stop: who watches its health hears first, then devices are sent off."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from penguindome.channels import aio_channel
from penguindome.v1 import agent_pb2, agent_pb2_grpc
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(240)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
COUNTER = """#!/bin/sh
echo x >> {path}
echo "{{\\"turn\\": $(wc -l < {path})}}"
"""


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


def channel(fleet, folder, key="key.pem", certificate="certificate.pem"):
    anchor = fleet.server.folder / "state/authority/anchor.pem"
    return aio_channel(
        "127.0.0.1",
        fleet.server.main_port,
        anchors_pem=anchor.read_bytes(),
        key_pem=(folder / key).read_bytes(),
        cert_pem=(folder / certificate).read_bytes(),
    )


async def is_served(made):
    health = health_pb2_grpc.HealthStub(made)
    answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=10)
    stub = reflection_pb2_grpc.ServerReflectionStub(made)
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    call = stub.ServerReflectionInfo(iter([asked]))
    found = await call.read()
    call.cancel()
    return answer.status == SERVING and len(found.list_services_response.service) > 2


def test_health_and_reflection_answer_whoever_has_a_certificate(fleet):
    async def story():
        agent = fleet.device(plugins=fleet.plugins())
        agent.enroll(fleet.alice.token())
        (profile,) = {path.parent for path in fleet.alice.folder.rglob("certificate.pem")}
        for folder in (agent.folder / "state/identity", profile):
            async with channel(fleet, folder) as made:
                assert await is_served(made)

    asyncio.run(story())


def turns(fleet, agent):
    words = ("device", "history", agent.device_id(), "--key", "plugins.counter")
    return len(fleet.alice.json(*words)["entries"])


async def watched(made, events):
    """Note, in order, what a device hears that watches the server's health too."""
    health = health_pb2_grpc.HealthStub(made).Watch(health_pb2.HealthCheckRequest())
    stream = agent_pb2_grpc.AgentServiceStub(made).CheckIn(agent_pb2.CheckInRequest(hostname="w"))

    async def note_health():
        with contextlib.suppress(grpc.RpcError):
            async for answer in health:
                events.append(answer.status)

    async def note_stream():
        with contextlib.suppress(grpc.RpcError):
            async for message in stream:
                events.append(message.WhichOneof("message"))
                if events[-1] == "go_away":
                    assert message.go_away.retry_after_seconds > 0
                    stream.cancel()

    await asyncio.gather(note_health(), note_stream(), return_exceptions=True)


def they_come_back(fleet, agents):
    fleet.server.start()
    began = time.monotonic()
    for agent in agents:
        wait_until(
            lambda agent=agent: fleet.shown(agent)["device"]["connected"], 30, "it stays away"
        )
    assert time.monotonic() - began < 25
    for agent in agents:
        before = turns(fleet, agent)
        fleet.alice.run("device", "collect", agent.device_id())
        wait_until(
            lambda agent=agent, before=before: turns(fleet, agent) > before,
            30,
            "nothing is reported",
        )


def test_devices_are_sent_off_and_come_back_by_themselves(fleet):
    count = fleet.folder / "count"
    plugins = fleet.plugins(counter=COUNTER.format(path=count))
    token = fleet.alice.token("--uses", "3")
    agents = [fleet.device(plugins=plugins, token=token) for _ in range(2)]
    for agent in agents:
        fleet.wait_for_report(agent)
    watcher = fleet.device(plugins=plugins)
    watcher.enroll(token)
    events = []

    async def story():
        async with channel(fleet, watcher.folder / "state/identity") as made:
            task = asyncio.create_task(watched(made, events))
            async with asyncio.timeout(20):
                while not {SERVING, "welcome"} <= set(events):  # noqa: ASYNC110 -- short
                    await asyncio.sleep(0.05)
            began = time.monotonic()
            os.kill(fleet.server.process.pid, signal.SIGTERM)
            assert await asyncio.to_thread(fleet.server.process.wait, 30) == 0
            assert time.monotonic() - began < 10
            await asyncio.wait_for(task, 20)

    asyncio.run(story())
    assert NOT_SERVING in events
    assert events.index(NOT_SERVING) < events.index("go_away")
    fleet.server.process = None
    they_come_back(fleet, agents)
    assert "Traceback" not in fleet.server.log()
