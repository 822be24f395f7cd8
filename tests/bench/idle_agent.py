"""Measure what a connected agent costs while nothing is due.

Run: python -m tests.bench.idle_agent [--seconds 60] [--debian]

RSS is what it holds, PSS its share when pages are shared with other programs, USS what nobody
shares. `imports` is the RSS of an interpreter that only imports the daemon.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import time

from penguin_agent.environment import package_folders
from tests.harness.agent import Agent
from tests.harness.fleet import Fleet

SETTINGS = """
[schedule]
collect_interval_minutes = 60
submit_interval_minutes = 60
"""
MINUTES = ("collect_interval_minutes", "submit_interval_minutes")
DEBIAN_PYTHON = "/usr/bin/python3"
IMPORTS = "import os, penguin_agent.cli_run; print(os.getpid(), flush=True); input()"


class DebianAgent(Agent):
    """An agent on Debian's own Python and libraries."""

    def _words(self, *words: object) -> list[str]:
        own = super()._words(*words)
        program = own.index("--") + 1
        return [*own[:program], DEBIAN_PYTHON, "-m", "penguin_agent.cli", *own[program + 1 :]]

    def _environment(self) -> dict[str, str]:
        return super()._environment() | {"PYTHONPATH": os.pathsep.join(package_folders())}


def slow_down(fleet: Fleet) -> None:
    """Make the server wish for hourly collections, and start it anew."""
    fleet.server.stop()
    lines = fleet.server.config.read_text(encoding="utf-8").splitlines()
    slow = [f"{line.split()[0]} = 60" if line.startswith(MINUTES) else line for line in lines]
    fleet.server.config.write_text("\n".join(slow), encoding="utf-8")
    fleet.server.start()


def memory_mb(pid: int) -> dict[str, float]:
    """Return RSS, PSS and USS in MB. Source: proc_pid_smaps(5), smaps_rollup."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    kib = {line.split(":")[0]: int(line.split()[-2]) for line in text.splitlines()[1:]}
    private = kib["Private_Clean"] + kib["Private_Dirty"]
    return {"RSS": kib["Rss"] / 1024, "PSS": kib["Pss"] / 1024, "USS": private / 1024}


def imports_mb(python: str) -> float:
    """Return the RSS of an interpreter that has imported the daemon and done nothing."""
    env = {"PYTHONPATH": os.pathsep.join(package_folders()), "GRPC_ENABLE_FORK_SUPPORT": "0"}
    pipe = subprocess.PIPE
    with subprocess.Popen([python, "-c", IMPORTS], stdin=pipe, stdout=pipe, env=env) as program:
        assert program.stdout is not None
        program.stdout.readline()
        found = memory_mb(program.pid)["RSS"]
        program.communicate(b"\n", timeout=10)
    return found


def cpu_seconds(pid: int) -> float:
    """Return the scheduler's exact count over all threads. Source: Documentation/scheduler."""
    tasks = pathlib.Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


def measure(agent: Agent, seconds: float) -> str:
    """Return what a connected agent costs over a while."""
    time.sleep(15)
    assert agent.process is not None
    pid = agent.process.pid
    before, started = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    share = (cpu_seconds(pid) - before) / (time.monotonic() - started)
    threads = len(list(pathlib.Path(f"/proc/{pid}/task").iterdir()))
    sizes = ", ".join(f"{name} {size:.1f} MB" for name, size in memory_mb(pid).items())
    return f"{sizes}, {share * 100:.3f} % of a core, {threads} threads"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--debian", action="store_true", help="on /usr/bin/python3")
    options = parser.parse_args()
    make = DebianAgent if options.debian else Agent
    python = DEBIAN_PYTHON if options.debian else sys.executable
    with Fleet() as fleet:
        slow_down(fleet)
        agent = make(fleet.folder / "idle", settings=SETTINGS)
        fleet.agents.append(agent)
        agent.enroll(fleet.alice.token())
        agent.start()
        fleet.wait_for_report(agent)
        print(f"{measure(agent, options.seconds)}; imports {imports_mb(python):.1f} MB")


if __name__ == "__main__":
    main()
