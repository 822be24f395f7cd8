"""Measure what a connected agent costs while nothing is due.

Run: python -m tests.bench.idle_agent [--seconds 60]
"""

from __future__ import annotations

import argparse
import pathlib
import time

from tests.harness.fleet import Fleet

SETTINGS = """
[schedule]
collect_interval_minutes = 60
submit_interval_minutes = 60
"""
MINUTES = ("collect_interval_minutes", "submit_interval_minutes")


def slow_down(fleet: Fleet) -> None:
    """Make the server wish for hourly collections, and start it anew."""
    fleet.server.stop()
    lines = fleet.server.config.read_text(encoding="utf-8").splitlines()
    slow = [f"{line.split()[0]} = 60" if line.startswith(MINUTES) else line for line in lines]
    fleet.server.config.write_text("\n".join(slow), encoding="utf-8")
    fleet.server.start()


def pss_bytes(pid: int) -> int:
    """Return the proportional set size. Source: proc_pid_smaps(5), smaps_rollup."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) << 10


def cpu_seconds(pid: int) -> float:
    """Return the scheduler's exact count over all threads. Source: Documentation/scheduler."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with Fleet() as fleet:
        slow_down(fleet)
        agent = fleet.device(settings=SETTINGS, token=fleet.alice.token())
        fleet.wait_for_report(agent)
        time.sleep(10)
        assert agent.process is not None
        pid = agent.process.pid
        before, started = cpu_seconds(pid), time.monotonic()
        time.sleep(options.seconds)
        share = (cpu_seconds(pid) - before) / (time.monotonic() - started)
        threads = len(list(pathlib.Path(f"/proc/{pid}/task").iterdir()))
        print(
            f"PSS {pss_bytes(pid) / 2**20:.1f} MB, {share * 100:.3f} % of a core, {threads} threads"
        )


if __name__ == "__main__":
    main()
