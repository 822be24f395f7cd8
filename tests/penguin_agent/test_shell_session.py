"""Sessions on the device with real programs, terminals and processes."""

from __future__ import annotations

import asyncio
import os
import random
import time
from dataclasses import replace

import psutil
import pytest

from penguin_agent.shell import hosting, session
from penguindome.shell.frames import Frame
from tests.penguin_agent.shell_pair import LIMITS, Pair

BASH = ("/bin/bash", "--norc", "--noprofile")


def run(work):
    return asyncio.run(asyncio.wait_for(work(), 60))


def test_a_program_runs_on_a_terminal_and_its_status_comes_back():
    async def work():
        async with Pair(BASH) as pair:
            await pair.operator.see(b"$ ")
            pair.operator.type("tty; stty size; echo $TERM; exit 7\n")
            how = await pair.ended
            shown = bytes(pair.operator.shown[Frame.OUTPUT])
            assert b"/dev/pts/" in shown
            assert b"24 80" in shown
            assert b"xterm" in shown
            assert (how.status, how.reason) == (7, "")
            assert pair.operator.how == how

    run(work)


def test_a_program_without_a_terminal_has_its_three_streams():
    async def work():
        argv = ("/bin/sh", "-c", "cat; echo error >&2; tty; exit 3")
        async with Pair(argv, size=None) as pair:
            pair.operator.type(b"a\0b")
            pair.operator.endpoint.send(Frame.INPUT_END, b"")
            how = await pair.ended
            assert how.status == 3
            assert bytes(pair.operator.shown[Frame.OUTPUT]) == b"a\0bnot a tty\n"
            assert bytes(pair.operator.shown[Frame.ERRORS]) == b"error\n"

    run(work)


def test_sizes_and_signals_arrive():
    async def work():
        async with Pair(BASH) as pair:
            await pair.operator.see(b"$ ")
            pair.operator.resize(132, 43)
            pair.operator.type("stty size\n")
            await pair.operator.see(b"43 132")
            pair.operator.type("sleep 1000\n")
            await asyncio.sleep(0.2)
            pair.operator.type("\x03")
            pair.operator.type("echo st${x}ill here\n")
            await pair.operator.see(b"still here")
            pair.operator.type("trap 'echo caught' USR1; while :; do sleep 0.05; done\n")
            await asyncio.sleep(0.2)
            pair.operator.endpoint.send(Frame.SIGNAL, b"USR1")
            await pair.operator.see(b"caught")

    run(work)


@pytest.mark.parametrize("how", ["exit", "end", "idle", "longest", "forbidden", "link-lost"])
def test_nothing_survives_the_end(how):
    mark = f"PD_MARK={os.getpid()}-{random.random()}"
    alone = f"503.{os.getpid()}"

    async def work():
        limits = {
            "idle": replace(LIMITS, idle=1),
            "longest": replace(LIMITS, longest=1),
            "link-lost": replace(LIMITS, resume=1),
        }.get(how, LIMITS)
        why = ["no"] if how == "forbidden" else [""]
        allowed = []
        name, value = mark.split("=")
        pair = Pair(
            BASH,
            limits=limits,
            forbidden=lambda: why[0] if allowed else "",
            env={name: value},
        )
        async with pair:
            await pair.operator.see(b"$ ")
            pair.operator.type("setsid nohup sleep 500 >/dev/null 2>&1 &\n")
            pair.operator.type("(trap '' HUP TERM; (sleep 501 &) ; sleep 502 &)\n")
            pair.operator.type(f"env -i setsid sleep {alone} & echo rea${{x}}dy\n")
            await pair.operator.see(b"ready")
            await asyncio.sleep(0.2)
            assert len(marked(mark)) >= 4
            if how == "exit":
                pair.operator.type("exit\n")
            elif how == "end":
                pair.session.end("killed", "killed")
            elif how == "link-lost":
                pair.cut()
            allowed.append(True)
            ended = await pair.ended
            assert ended.code == {"exit": "", "end": "killed"}.get(how, how)
            assert marked(mark) == []
            assert not [p for p in psutil.process_iter() if named(p, alone)]

    run(work)


def named(process, word):
    try:
        return process.name() == "sleep" and word in process.cmdline()
    except psutil.Error:
        return False


def marked(mark):
    found = []
    name, value = mark.split("=")
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value and process.status() != "zombie":
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


@pytest.mark.parametrize("meddle", ["repeat", "drop", "swap", "flip", "inject"])
def test_a_link_that_meddles_ends_the_session_and_types_nothing(meddle, tmp_path):
    target = tmp_path / "typed"

    async def work():
        async with Pair(BASH) as pair:
            await pair.operator.see(b"$ ")
            held = []

            def spoil(frame):
                if frame[8] != Frame.INPUT:
                    return [frame]
                if meddle == "repeat":
                    # A copy of an earlier frame is known and does nothing; a changed one is not.
                    return [frame[:-1] + bytes([frame[-1] ^ 1]), frame]
                if meddle == "drop":
                    held.append(frame)
                    return [] if len(held) == 1 else [frame]
                if meddle == "swap":
                    held.append(frame)
                    return [] if len(held) == 1 else [frame, held[0]]
                if meddle == "flip":
                    return [frame[:20] + bytes([frame[20] ^ 1]) + frame[21:]]
                count = int.from_bytes(frame[:8], "big")
                return [count.to_bytes(8, "big") + b"\1" + os.urandom(40), frame]

            pair.meddle = spoil
            pair.operator.type(f"touch {target}\n")
            pair.operator.type("echo second\n")
            how = await pair.ended
            assert how.code == "shell-tampered"
            assert not target.exists() or meddle in ("drop", "swap")

    run(work)
    assert not target.exists()


def test_a_lost_link_loses_and_repeats_nothing():
    chance = random.Random(7)

    async def work():
        argv = ("/bin/sh", "-c", "i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done")
        async with Pair(argv, size=None, limits=replace(LIMITS, resume=20)) as pair:
            while not pair.ended.done():
                await asyncio.sleep(chance.uniform(0.001, 0.03))
                if pair.ended.done():
                    break
                pair.cut()
                await asyncio.sleep(chance.uniform(0.001, 0.02))
                pair.mend()
            expected = b"".join(b"line %d\n" % i for i in range(30000))
            assert bytes(pair.operator.shown[Frame.OUTPUT]) == expected

    run(work)


def test_a_reader_who_takes_nothing_holds_a_flood_up_and_costs_no_memory():
    async def work():
        async with Pair(("yes",), size=None) as pair:
            pair.operator.reads = False
            await pair.operator.see(b"y\n" * 1000)
            await asyncio.sleep(0.5)
            held = len(pair.operator.shown[Frame.OUTPUT])
            await asyncio.sleep(0.5)
            assert len(pair.operator.shown[Frame.OUTPUT]) == held
            assert held < 1_000_000
            started = time.monotonic()
            pair.session.end("enough", "killed")
            await pair.ended
            assert time.monotonic() - started < 10

    run(work)


def test_a_user_that_is_not_there_is_said():
    async def work():
        async with Pair(BASH, user="nobody-of-this-name") as pair:
            assert (await pair.ended).status == 127
            assert b"penguin-agent: " in pair.operator.shown[Frame.OUTPUT]

    run(work)


class Away:
    """A link whose pauses are long unless they are ended."""

    def __init__(self):
        self.connected = asyncio.Event()
        self.pauses = 3

    def wake(self):
        self.pauses -= 1
        if not self.pauses:
            self.connected.set()


def test_while_an_operator_waits_no_pause_before_the_next_connection_is_long(monkeypatch):
    monkeypatch.setattr(hosting, "HASTE_SECONDS", 0.01)
    link = Away()
    run(lambda: hosting.connected(link))
    assert link.pauses == 0


def test_who_ends_a_session_need_not_wait_for_an_operator_who_has_gone():
    async def work():
        async with Pair(("sleep", "0.5"), size=None, limits=replace(LIMITS, resume=50)) as pair:
            await asyncio.sleep(0.2)
            pair.cut()
            await asyncio.sleep(1)
            # The program is over, and its operator might still come back for its end.
            assert not pair.ended.done()
            pair.session.end("enough", "killed")
            how = await asyncio.wait_for(pair.ended, 8)
            assert (how.status, how.reason) == (0, "enough")

    run(work)


@pytest.mark.parametrize("code", ["killed", "left"])
def test_who_ends_a_session_whose_operator_is_gone_for_certain_waits_for_nothing(code):
    async def work():
        async with Pair(("echo", "shown"), size=None, limits=replace(LIMITS, resume=50)) as pair:
            pair.operator.reads = False
            await pair.operator.see(b"shown")
            pair.device.parted()
            await asyncio.sleep(0.3)
            # Who has gone might come back as long as nobody wants the end.
            assert not pair.ended.done()
            began = time.monotonic()
            pair.session.end("the copy cannot be written", code)
            await asyncio.wait_for(pair.ended, 8)
            assert time.monotonic() - began < session.FAREWELL_SECONDS / 2

    run(work)
