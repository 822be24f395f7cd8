"""Devices that exist only as keys and reports: a load that costs little besides the server."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime
from typing import Any

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

from penguindome import certs
from penguindome.channels import aio_channel
from penguindome.possession import enroll_bytes
from penguindome.report_wire import report_to_message
from penguindome.tokens import EnrollmentToken, decode_token
from penguindome.v1 import agent_pb2_grpc, bootstrap_pb2, bootstrap_pb2_grpc
from tests.harness.reporter import Reporter, output

PLUGINS = 20


def value(plugin: int, turn: int) -> dict[str, Any]:
    """Return an output of about 365 bytes, of which one number changes with the turn."""
    return {
        "turn": turn,
        "enabled": True,
        "version": f"1.{plugin}.0-3ubuntu2",
        "items": [{"name": f"item-{n}", "state": "installed", "size": n * 1000} for n in range(5)],
        "config": {"PermitRootLogin": "no", "Port": 22, "path": "/etc/ssh/sshd_config.d"},
    }


class SimulatedDevice:
    """One enrolled device with a connection of its own."""

    def __init__(self, device_id: str, hostname: str, channel: Any) -> None:
        """Take an open channel."""
        self.reporter = Reporter(device_id, hostname, time=datetime.now(UTC))
        self.channel = channel
        self.key = b""
        self.certificate = b""
        self.stub = agent_pb2_grpc.AgentServiceStub(channel)
        self.turn = 0

    async def submit(self, report: Any) -> None:
        """Hand a report in; the server must store it."""
        answer = await self.stub.SubmitReport(report_to_message(report), timeout=60)
        assert answer.stored, "the server wants a full report"

    async def first(self, **values: Any) -> None:
        """Hand in the first, full report: simulated outputs and the given ones."""
        made = [output(f"plugin{n}", value(n, 0)) for n in range(PLUGINS)]
        self.reporter.put(*made, *(output(name, one) for name, one in values.items()))
        await self.submit(self.reporter.full())

    async def report(self, changed: int) -> None:
        """Hand in a report in which so many outputs changed."""
        self.turn += 1
        made = [output(f"plugin{n}", value(n, self.turn)) for n in range(changed)]
        await self.submit(self.reporter.delta(*self.reporter.put(*made)))


async def enroll(line: str, number: int) -> list[SimulatedDevice]:
    """Enroll so many devices with one token, eight at a time."""
    token = decode_token(line)
    anchors = certs.der_to_pem(token.anchor)
    slots = asyncio.Semaphore(8)
    async with aio_channel(token.host, token.bootstrap_port, anchors_pem=anchors) as channel:
        stub = bootstrap_pb2_grpc.BootstrapServiceStub(channel)

        async def one(index: int) -> SimulatedDevice:
            async with slots:
                return await _enroll_one(stub, token, anchors, f"host-{index:05d}")

        return list(await asyncio.gather(*(one(index) for index in range(number))))


async def _enroll_one(
    stub: Any, token: EnrollmentToken, anchors: bytes, hostname: str
) -> SimulatedDevice:
    key = certs.generate_key()
    csr = certs.make_csr(key)
    nonce = (await stub.Begin(bootstrap_pb2.BeginRequest(), timeout=60)).nonce
    proof = certs.sign(key, enroll_bytes(nonce, token.token_id, csr, hostname, {}))
    request = bootstrap_pb2.EnrollRequest(
        nonce=nonce,
        token_id=token.token_id,
        token_secret=token.secret,
        csr=csr,
        hostname=hostname,
        agent_version="0.1.0",
        signature=proof,
        os_name="Debian GNU/Linux 12",
    )
    answer = await stub.Enroll(request, timeout=60)
    channel = aio_channel(
        token.host,
        token.main_port,
        anchors_pem=anchors,
        key_pem=key,
        cert_pem=answer.certificate,
    )
    device = SimulatedDevice(answer.device_id, hostname, channel)
    device.key, device.certificate = key, answer.certificate
    return device


async def load(devices: list[SimulatedDevice], seconds: float, changed: int) -> tuple[float, float]:
    """Report as fast as answers come; return reports per second and the median answer in ms."""
    until = time.perf_counter() + seconds
    took: list[float] = []

    async def live(device: SimulatedDevice) -> None:
        while (started := time.perf_counter()) < until:
            await device.report(changed)
            took.append(time.perf_counter() - started)

    started = time.perf_counter()
    await asyncio.gather(*(live(device) for device in devices))
    elapsed = time.perf_counter() - started
    return len(took) / elapsed, sorted(took)[len(took) // 2] * 1000
