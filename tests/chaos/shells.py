"""Drop all packets of a session's legs at random moments, then compare its streams.

A network namespace of its own, in which the kernel drops what the device or the operator sends and
gets: no socket is closed, nobody is told. One hole a round, on either leg or both, in sessions that
print and are typed into all the time. What must hold: both streams are those of a session that was
never cut, byte for byte.

Run as root: python -m tests.chaos.shells [--rounds 100] [--longest 20] [--seed 1]
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.harness import ports
from tests.harness.fleet import Fleet
from tests.harness.holes import PacketHole
from tests.stories.lost_links import Exchange, device_by

INSIDE = "PENGUINDOME_INSIDE"
LEGS = ("device", "operator", "both")
# How long a session goes on after a hole's end: time enough to come back, and to print more.
AFTER_SECONDS = 4.0
BEFORE_SECONDS = (0.2, 2.0)


def main() -> int:
    """Run, in a namespace of our own."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.shells")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--shortest", type=float, default=1.0)
    parser.add_argument("--longest", type=float, default=20.0)
    parser.add_argument("--at-once", type=int, default=1, help="sessions in each round")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    if INSIDE not in os.environ:
        line = f'ip link set lo up && exec "$0" -m tests.chaos.shells {" ".join(sys.argv[1:])}'
        words = ["unshare", "--net", "sh", "-c", line, sys.executable]
        return subprocess.run(words, env={**os.environ, INSIDE: "1"}, check=False).returncode
    chance = random.Random(arguments.seed)
    with Fleet() as fleet, tempfile.TemporaryDirectory(prefix="pd") as name:
        second = ports.free_port()
        fleet.server.run("ports", "add", "second", "--kind", "main", "--port", second)
        fleet.server.stop()
        fleet.server.start()
        with PacketHole(second) as far, PacketHole(fleet.server.main_port) as near:
            holes = {"device": [far], "operator": [near], "both": [far, near]}
            device = device_by(fleet, second).device_id()
            for number in range(arguments.rounds):
                leg, seconds = (
                    LEGS[number % 3],
                    chance.uniform(arguments.shortest, arguments.longest),
                )
                before = chance.uniform(*BEFORE_SECONDS)
                sessions = [
                    Exchange(fleet.alice, near.port, device, _folder(name, one),
                             before + seconds + AFTER_SECONDS)
                    for one in range(arguments.at_once)
                ]  # fmt: skip
                _round(sessions, holes[leg], before, seconds)
                shown = sum(len(one.shown) for one in sessions)
                print(f"round {number + 1}: {leg}, {seconds:.1f} s, {shown} bytes", flush=True)
    print(f"{arguments.rounds} rounds: every stream is whole")
    return 0


def _folder(name: str, number: int) -> Path:
    made = Path(name) / str(number)
    made.mkdir(exist_ok=True)
    Path(name).chmod(0o755)
    return made


def _round(
    sessions: list[Exchange], holes: list[PacketHole], before: float, seconds: float
) -> None:
    """Let one hole pass over running sessions."""
    with sessions[0] if len(sessions) == 1 else _All(sessions):
        time.sleep(before)
        for one in holes:
            one.shut()
        time.sleep(seconds)
        for one in holes:
            one.let()


class _All:
    """Several sessions as one."""

    def __init__(self, sessions: list[Exchange]) -> None:
        self._sessions = sessions

    def __enter__(self) -> None:
        """Begin all."""
        for one in self._sessions:
            one.__enter__()

    def __exit__(self, *problem: object) -> None:
        """Compare all."""
        for one in self._sessions:
            one.__exit__(*problem)


if __name__ == "__main__":
    sys.exit(main())
