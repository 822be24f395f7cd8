"""Measure how long audits take, with a mongod and the load on this machine.

Run: python -m tests.bench.audit [--devices 2000]
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any

from tests.harness.database import child_mongod
from tests.harness.judging import NOW, Judging, judging, state_document


def outputs(number: int) -> dict[str, Any]:
    """Return what a device reports; every third to tenth fails one check or another."""
    config = {f"keyword{index}": "value" for index in range(60)}
    packages = [f"package-{index}" for index in range(300)]
    return {
        "sshd": {
            "status": "running",
            "config": {**config, "passwordauthentication": "no" if number % 10 else "yes"},
        },
        "firewall": {"status": "on" if number % 7 else "off"},
        "hd_encryption": [{"mountpoint": "/", "device": "/dev/x", "encrypted": number % 5 != 0}],
        "screenlock": {"users": [{"user": "ann", "enabled": True, "delay": 300}]},
        "os_updates": {
            "release": False,
            "security_patches": number % 3 == 0,
            "installed_packages": packages,
        },
        **{f"other{index}": {"text": "x" * 200} for index in range(15)},
    }


async def fill(bench: Judging, count: int) -> list[str]:
    """Enroll devices that have reported."""
    ids = [f"d-{number:06d}" for number in range(count)]
    states = [{"_id": one, **state_document(outputs(n), NOW)} for n, one in enumerate(ids)]
    records = [
        {"_id": one, "hostname": one, "state": "active", "labels": [], "enrolled_time": NOW}
        | {"spki": b"", "fingerprint": "", "hints": {}}
        for one in ids
    ]
    await bench.database.db["states"].insert_many(states)
    await bench.database.db["devices"].insert_many(records)
    return ids


async def measure(uri: str, count: int) -> None:
    """Print milliseconds of audits of all, of 64 and of one."""
    async with judging(uri) as bench:
        ids = await fill(bench, count)
        for what, group in (
            ("all, first time", None),
            ("all, nothing new", None),
            ("64", ids[:64]),
            ("64 again", ids[:64]),
            ("one", ids[:1]),
        ):
            started = time.perf_counter()
            outcome = await bench.auditor.audit(group, NOW)
            spent = (time.perf_counter() - started) * 1000
            print(f"{what}: {spent:.1f} ms, {len(outcome.opened)} opened")


def main() -> None:
    """Read the command line and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, default=2000)
    count = parser.parse_args().devices
    with child_mongod() as uri:
        asyncio.run(measure(uri, count))


if __name__ == "__main__":
    main()
