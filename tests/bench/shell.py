"""Measure a remote shell beside OpenSSH, at the same terminal, in the same run.

Everything of ours is on: sealed end to end, recorded, chained, handed in; penguind, penguin-agent
and penguinctl are processes of their own. `ssh -J` makes the two hops that ours makes. Each round
measures all three; the median of all rounds counts for each, since the machine has other things to
do. What takes a moment is measured several times a round, once in each session and then again, for
a machine's mood changes within seconds: prompts, keystrokes in sessions at rest, and floods. What
a flood leaves to be handed in is waited for before the next one, or somebody else's would be slowed
by it; keystrokes are measured once more while it is handed in. Floods are compared by pairs, each
with the one just before it: alike ones differ by a seventh, pairs by half of that.

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
from typing import TYPE_CHECKING, TypeVar

import psutil

from tests.bench.shell_bars import BULK, missed, show
from tests.bench.ssh_loopback import LoopbackSsh
from tests.harness.fleet import Fleet
from tests.harness.terminal import Terminal
from tests.stories.shells import NOTHING, env_of, shell_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

PROMPT = b"far> "
BASH = ("env", f"PS1={PROMPT.decode()}", "bash", "--norc", "--noprofile", "-i")
PROMPTS = 3
FLOODS = 5
HANDED_IN_SECONDS = 20
KEYS = 200
# Typed into one session before it is the next one's turn, and then the line is emptied.
TURN = 50
APART_SECONDS = 0.010
SLOW_BYTES_PER_SECOND = 1_000_000
MIB = 1024 * 1024


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
            recordings = agent.folder / "state/recordings"
            found = [_round(ways, env, recordings) for _ in range(rounds)]
            middle = {way: _middle([one[way] for one in found]) for way in ways}
            growth = _stalled(ways["ours"](*BASH), env, fleet, agent)
    show(middle, growth)
    print(f"load {os.getloadavg()[0]:.1f}")
    lacking = missed(middle, growth)
    print("missed: " + ", ".join(lacking) if lacking else "every bar is met")
    return 1 if lacking else 0


def _quoted(words: Sequence[str]) -> list[str]:
    return [f"'{word}'" for word in words]


def _round(
    ways: Mapping[str, Callable[..., list[str]]], env: Mapping[str, str], recordings: Path
) -> dict[str, dict[str, float]]:
    """Return everything that is measured of each way, once; times in milliseconds."""
    values = {way: {"login": _login(words(), env)} for way, words in ways.items()}
    _merge(values, _prompts(ways, env))
    with contextlib.ExitStack() as stack:
        terminals = {}
        for way, words in ways.items():
            terminals[way] = stack.enter_context(Terminal(words(*BASH), env))
            terminals[way].see(PROMPT)
            terminals[way].quiet()
        _merge(values, _echo(terminals, "bash"))
        _merge(values, _echo_of_cat(terminals, "cat"))
        for name in BULK:
            _merge(values, _floods(terminals, recordings, name))
        for way, terminal in terminals.items():
            values[way] |= _interrupted(terminal)
            _merge(values, _echo_of_cat({way: terminal}, "cat after"))
            terminal.type(b"exit\r")
            terminal.quiet()
    return values


def _in_turns(
    ways: Mapping[str, T], turns: int, measure: Callable[[T], list[float]]
) -> dict[str, list[float]]:
    """Return what is measured of each way, some of one, some of the next, and so on."""
    found: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(turns):
        for way, one in ways.items():
            found[way] += measure(one)
    return found


def _prompts(
    ways: Mapping[str, Callable[..., list[str]]], env: Mapping[str, str]
) -> dict[str, dict[str, float]]:
    """Return how long it takes until a shell without settings of its own shows its prompt."""

    def prompt(words: Callable[..., list[str]]) -> list[float]:
        with Terminal(words(*BASH), env) as terminal:
            terminal.see(PROMPT)
            took = _milliseconds(terminal.started)
            terminal.quiet()
            terminal.type(b"exit\r")
            terminal.quiet()
        return [took]

    found = _in_turns(ways, PROMPTS, prompt)
    return {way: {"prompt": median(took)} for way, took in found.items()}


def _merge(values: dict[str, dict[str, float]], more: dict[str, dict[str, float]]) -> None:
    for way, found in more.items():
        values[way] |= found


def _floods(
    terminals: Mapping[str, Terminal], recordings: Path, name: str
) -> dict[str, dict[str, float]]:
    """Return the rates at which much is shown, MB/s, and ours beside that of `ssh -J`."""

    def flood(terminal: Terminal) -> list[float]:
        rate = _bulk(terminal, BULK[name])
        _wait_handed_in(recordings)
        return [rate]

    found = _in_turns(terminals, FLOODS, flood)
    values = {way: {name: median(rates)} for way, rates in found.items()}
    pairs = zip(found["ours"], found["ssh -J"], strict=True)
    values["ours"][f"{name} ratio"] = median(ours / jump for ours, jump in pairs)
    return values


def _wait_handed_in(recordings: Path) -> None:
    """Wait until the server has every whole piece of every recording, all but the latest lines."""
    end = time.monotonic() + HANDED_IN_SECONDS
    while any(recordings.glob("*/[0-9]*")):
        if time.monotonic() > end:
            raise TimeoutError("what was recorded is not handed in")
        time.sleep(0.05)


def _interrupted(terminal: Terminal) -> dict[str, float]:
    """Return what is measured while much is shown."""
    return {
        "^C": _interrupt(terminal, None),
        "^C at 1 MB/s": _interrupt(terminal, SLOW_BYTES_PER_SECOND),
    }


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
    took = _in_turns(terminals, KEYS // TURN, _turn)
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


if __name__ == "__main__":
    sys.exit(main())
