"""Measure reports a second over real mutual TLS, and how quick the operators' commands are.

The server with its mongod, and the load, share this machine. Reports carry a trail entry and are
audited: the audit holds the next batch of reports up, so that it cannot fall far behind.

Run: python -m tests.bench.wire [--devices 128] [--seconds 10] [--listed 2000]
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
import time
from statistics import median

from tests.bench.simulated import SimulatedDevice, enroll, load
from tests.harness.fleet import Fleet
from tests.harness.process import BIN, environment

LIMITS = """
[limits]
reports_per_minute = 100000
report_burst = 100000
report_bytes_per_day = 1099511627776
enroll_per_minute = 1000000
"""


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=128)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--listed", type=int, default=2000)
    options = parser.parse_args()
    with Fleet(settings=LIMITS) as fleet:
        token = fleet.alice.token("--uses", "10000")
        asyncio.run(measure(token, options))
        audit(fleet)
        commands(fleet, options.listed)


async def measure(token: str, options: argparse.Namespace) -> None:
    """Enroll, then load with unchanged and with changed reports."""
    started = time.perf_counter()
    devices = await enroll(token, options.listed)
    spent = time.perf_counter() - started
    print(f"enrolled {len(devices)} devices, {len(devices) / spent:.0f}/s")
    started = time.perf_counter()
    await first_reports(devices)
    spent = time.perf_counter() - started
    print(f"first reports: {len(devices) / spent:.0f}/s")
    busy = devices[: options.devices]
    for changed in (0, 1, 3):
        rate, answer = await load(busy, options.seconds, changed)
        print(f"{changed} outputs changed: {rate:.0f} reports/s, median answer {answer:.0f} ms")
    for device in devices:
        await device.channel.close()


async def first_reports(devices: list[SimulatedDevice]) -> None:
    """Hand in everybody's first report, 64 at a time; every third device has an issue."""
    slots = asyncio.Semaphore(64)

    async def one(index: int, device: SimulatedDevice) -> None:
        async with slots:
            status = "off" if index % 3 == 0 else "on"
            await device.first(firewall={"status": status, "layers": {}})

    await asyncio.gather(*(one(index, device) for index, device in enumerate(devices)))


def audit(fleet: Fleet) -> None:
    """Time an audit of everything."""
    started = time.perf_counter()
    fleet.alice.run("issue", "audit")
    print(f"audit of all, by the command line: {(time.perf_counter() - started) * 1000:.0f} ms")


def commands(fleet: Fleet, listed: int) -> None:
    """Time the command line beside a bare interpreter, interleaved."""
    bare: list[float] = []
    helps: list[float] = []
    lists: list[float] = []
    overviews: list[float] = []
    for _ in range(9):
        bare.append(timed([sys.executable, "-c", "pass"]))
        helps.append(timed([str(BIN / "penguinctl"), "--help"]))
        started = time.perf_counter()
        text = fleet.alice.run("device", "list")
        lists.append(time.perf_counter() - started)
        assert text.count("host-") >= listed
        started = time.perf_counter()
        fleet.alice.run("overview")
        overviews.append(time.perf_counter() - started)
    figures = {
        "bare python": bare,
        "--help": helps,
        f"list of {listed}": lists,
        f"overview of {listed}": overviews,
    }
    for name, times in figures.items():
        print(
            f"{name}: min {min(times) * 1000:.0f}, median {median(times) * 1000:.0f} ms, "
            f"{median(times) / median(bare):.1f} x a bare interpreter"
        )


def timed(words: list[str]) -> float:
    """Run a command and return its seconds."""
    started = time.perf_counter()
    subprocess.run(words, check=True, capture_output=True, timeout=60, env=environment())
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
