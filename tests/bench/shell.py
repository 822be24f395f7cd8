"""Measure a remote shell beside OpenSSH, at the same terminal, in the same run.

Everything of ours is on: sealed end to end, recorded, chained, handed in; penguind, penguin-agent
and penguinctl are processes of their own. `ssh -J` makes the two hops that ours makes. Each round
measures all three; the median of all rounds counts for each, since the machine has other things to
do. Keystrokes are measured in sessions at rest, some in one and then some in the next, for a
machine's mood changes within seconds; and once more while the recording of the floods before them
is handed in. The ratio's bar is for a shell's prompt, where people type; that of `cat`, where the
terminal answers by itself, is printed beside it.

Run as root: python -m tests.bench.shell [--rounds 5]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

import psutil

from tests.bench.ssh_loopback import LoopbackSsh
from tests.harness.fleet import Fleet
from tests.harness.terminal import Terminal
from tests.stories.shells import NOTHING, env_of, shell_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

PROMPT = b"far> "
BASH = ("env", f"PS1={PROMPT.decode()}", "bash", "--norc", "--noprofile", "-i")
KEYS = 200
# Typed into one session before it is the next one's turn, and then the line is emptied.
TURN = 50
APART_SECONDS = 0.010
SLOW_BYTES_PER_SECOND = 1_000_000
BULK = {"base64": b"head -c 12M /dev/zero | base64", "seq": b"seq 1500000"}
MIB = 1024 * 1024
# The bars: milliseconds, ratios to ssh -J, MiB.
BARS = {"prompt": 300.0, "p50": 3.0, "p99": 10.0, "p50 ratio": 3.0, "bulk": 0.8, "growth": 32.0}


def main() -> int:
    """Measure, print, and fail where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.shell")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    print(f"load {os.getloadavg()[0]:.1f}, median of {rounds} rounds")
    with Fleet() as fleet, tempfile.TemporaryDirectory(prefix="pd") as name:
        agent = fleet.device(plugins=fleet.plugins(nothing=NOTHING), token=fleet.alice.token())
        fleet.wait_for_report(agent)
        device, env = agent.device_id(), env_of(fleet.alice, TERM="xterm")
        with LoopbackSsh(Path(name)) as ssh:
            ways = {
                "ssh": lambda *words: ssh.words("near", *_quoted(words)),
                "ssh -J": lambda *words: ssh.words("far", *_quoted(words)),
                "ours": lambda *words: shell_words(
                    device, *(("-t", "--", *words) if words else ())
                ),
            }
            found = [_round(ways, env) for _ in range(rounds)]
            middle = {way: _middle([one[way] for one in found]) for way in ways}
            growth = _stalled(ways["ours"](*BASH), env, fleet, agent)
    _print(middle, growth)
    print(f"load {os.getloadavg()[0]:.1f}")
    missed = _missed(middle, growth)
    print("missed: " + ", ".join(missed) if missed else "every bar is met")
    return 1 if missed else 0


def _quoted(words: Sequence[str]) -> list[str]:
    return [f"'{word}'" for word in words]


def _round(
    ways: Mapping[str, Callable[..., list[str]]], env: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Return everything that is measured of each way, once; times in milliseconds."""
    values = {way: {"login": _login(words(), env)} for way, words in ways.items()}
    with contextlib.ExitStack() as stack:
        terminals = {}
        for way, words in ways.items():
            terminal = terminals[way] = stack.enter_context(Terminal(words(*BASH), env))
            terminal.see(PROMPT)
            values[way]["prompt"] = _milliseconds(terminal.started)
            terminal.quiet()
        _merge(values, _echo(terminals, "bash"))
        _merge(values, _echo_of_cat(terminals, "cat"))
        for way, terminal in terminals.items():
            values[way] |= _flooded(terminal)
            _merge(values, _echo_of_cat({way: terminal}, "cat after"))
            terminal.type(b"exit\r")
            terminal.quiet()
    return values


def _merge(values: dict[str, dict[str, float]], more: dict[str, dict[str, float]]) -> None:
    for way, found in more.items():
        values[way] |= found


def _flooded(terminal: Terminal) -> dict[str, float]:
    """Return what is measured while much is shown."""
    values = {name: _bulk(terminal, line) for name, line in BULK.items()}
    values["^C"] = _interrupt(terminal, None)
    values["^C at 1 MB/s"] = _interrupt(terminal, SLOW_BYTES_PER_SECOND)
    return values


def _milliseconds(since: float) -> float:
    return (time.perf_counter() - since) * 1000


def _login(words: list[str], env: Mapping[str, str]) -> float:
    """Return how long it takes until a login shell has shown something that ends like a prompt."""
    with Terminal(words, env) as terminal:
        shown, end = b"", time.monotonic() + 30
        while not shown.rstrip().endswith((b"#", b"$")) and time.monotonic() < end:
            shown += terminal.look(1.0)
        took = _milliseconds(terminal.started)
        terminal.type(b"exit\r")
        terminal.quiet()
    return took


def _echo(terminals: Mapping[str, Terminal], name: str) -> dict[str, dict[str, float]]:
    """Return percentiles of how long a typed letter takes to be shown."""
    took: dict[str, list[float]] = {way: [] for way in terminals}
    for _ in range(KEYS // TURN):
        for way, terminal in terminals.items():
            took[way] += _turn(terminal)
    cuts = {way: quantiles(some, n=100) for way, some in took.items()}
    return {way: {f"{name} p50": cut[49], f"{name} p99": cut[98]} for way, cut in cuts.items()}


def _turn(terminal: Terminal) -> list[float]:
    """Return how long some letters take."""
    took = []
    for _ in range(TURN):
        began = time.perf_counter()
        terminal.type(b"x")
        terminal.see(b"x", 10)
        took.append(_milliseconds(began))
        time.sleep(APART_SECONDS)
    terminal.type(b"\x15")
    terminal.quiet(0.1)
    return took


def _echo_of_cat(terminals: Mapping[str, Terminal], name: str) -> dict[str, dict[str, float]]:
    """Return the same where nothing but the terminal itself answers."""
    for terminal in terminals.values():
        terminal.type(b"cat\r")
        terminal.quiet()
    values = _echo(terminals, name)
    for terminal in terminals.values():
        terminal.type(b"\x03")
        terminal.see(PROMPT)
        terminal.quiet()
    return values


def _bulk(terminal: Terminal, line: bytes) -> float:
    """Return the rate at which a program's output is shown, MB/s."""
    terminal.type(line + b"; echo EN''D\r")
    began = time.perf_counter()
    count = terminal.see(b"END", 120)
    rate = count / (time.perf_counter() - began) / 1e6
    terminal.quiet()
    return rate


def _interrupt(terminal: Terminal, bytes_per_second: int | None) -> float:
    """Return how long a flood goes on after it is interrupted."""
    terminal.type(b"yes\r")
    _read(terminal, bytes_per_second, time.perf_counter() + 2.0)
    terminal.type(b"\x03")
    began = time.perf_counter()
    _read(terminal, bytes_per_second, began + 60.0, until=PROMPT)
    took = _milliseconds(began)
    terminal.quiet()
    return took


def _read(
    terminal: Terminal, bytes_per_second: int | None, end: float, until: bytes | None = None
) -> None:
    """Read at a rate until a time or a text."""
    began, count, tail = time.perf_counter(), 0, b""
    while time.perf_counter() < end and (until is None or until not in tail):
        data = terminal.look(0.05, 16384)
        tail, count = tail[-16:] + data, count + len(data)
        if bytes_per_second is not None:
            ahead = count / bytes_per_second - (time.perf_counter() - began)
            time.sleep(max(ahead, 0))


def _stalled(
    words: list[str], env: Mapping[str, str], fleet: Fleet, agent: object
) -> dict[str, float]:
    """Return by how many MiB each process grows while nobody reads a flood."""
    with Terminal(words, env) as terminal:
        terminal.see(PROMPT)
        terminal.quiet()
        terminal.type(b"head -c 1M /dev/zero | base64; echo EN''D\r")
        terminal.see(b"END")
        processes = {
            "penguind": psutil.Process(fleet.server.process.pid),  # type: ignore[union-attr] # runs
            "penguin-agent": psutil.Process(agent.process.pid),  # type: ignore[attr-defined] # runs
            "penguinctl": psutil.Process(terminal.pid),
        }
        before = {name: one.memory_info().rss for name, one in processes.items()}
        terminal.type(b"yes\r")
        most = dict.fromkeys(processes, 0.0)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for name, one in processes.items():
                most[name] = max(most[name], (one.memory_info().rss - before[name]) / MIB)
            time.sleep(0.1)
        terminal.type(b"\x03")
        terminal.see(PROMPT)
    return most


def _middle(several: list[dict[str, float]]) -> dict[str, float]:
    return {name: median(one[name] for one in several) for name in several[0]}


def _print(middle: dict[str, dict[str, float]], growth: dict[str, float]) -> None:
    print(f"{'':16}" + "".join(f"{way:>12}" for way in middle) + f"{'ours/ssh -J':>14}")
    for name in middle["ours"]:
        unit = "MB/s" if name in BULK else "ms"
        row = "".join(f"{middle[way][name]:12.2f}" for way in middle)
        ratio = middle["ours"][name] / middle["ssh -J"][name]
        print(f"{name:16}{row}{ratio:14.2f}  {unit}")
    for name, size in growth.items():
        print(f"{name} grows by {size:.1f} MiB while nobody reads")


def _missed(middle: dict[str, dict[str, float]], growth: dict[str, float]) -> list[str]:
    """Return the names of the bars that are missed."""
    ours, jump = middle["ours"], middle["ssh -J"]
    met = {
        "prompt": ours["prompt"] <= BARS["prompt"],
        "memory": max(growth.values()) < BARS["growth"],
    }
    for name in ("bash", "cat"):
        met[f"{name} p50"] = ours[f"{name} p50"] <= BARS["p50"]
        met[f"{name} p99"] = ours[f"{name} p99"] <= BARS["p99"]
    met["p50 ratio"] = ours["bash p50"] <= BARS["p50 ratio"] * jump["bash p50"]
    met |= {name: ours[name] >= BARS["bulk"] * jump[name] for name in BULK}
    return [name for name, is_met in met.items() if not is_met]


if __name__ == "__main__":
    sys.exit(main())
