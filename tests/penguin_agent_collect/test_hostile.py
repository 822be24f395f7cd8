"""Plugins that misbehave: each ends, named, with nothing of it left (the fixture looks)."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from penguin_agent.collect.collector import Collector, CollectSettings
from penguin_agent.collect.reboot_guard import RebootGuard
from penguin_agent.collect.runner import PluginSpec
from penguindome.reports import OutputStatus

# A bomb with a fuse: it stops by itself, whatever the watcher does.
_BOMB = """
import os, time
end = time.monotonic() + 5
made = 0
while time.monotonic() < end and made < 60:
    if os.fork() == 0:
        time.sleep(6)
        os._exit(0)
    made += 1
    time.sleep(0.01)
"""


def test_hanging_plugin_times_out(bed, stopwatch):
    ran = bed.run(bed.shell("plugin", "echo '{}'; sleep 60"), seconds=0.3)
    assert ran.output.status is OutputStatus.TIMEOUT
    assert ran.output.reason == "ran past 0.3 s"
    assert ran.abused
    assert stopwatch() < 20


def test_plugin_that_ignores_term_is_killed(bed, stopwatch):
    path = bed.shell("plugin", "trap '' TERM; while :; do sleep 0.2; done")
    ran = bed.run(path, seconds=0.3)
    assert ran.output.status is OutputStatus.TIMEOUT
    assert stopwatch() < 20


def test_plugin_may_clean_up_at_term(bed, limits):
    mark = bed.folder / "cleaned"
    path = bed.shell("plugin", f"trap 'touch {mark}; exit' TERM; while :; do sleep 0.1; done")
    bed.run(path, seconds=0.5, limits=limits(kill_after=timedelta(seconds=10)))
    assert mark.exists()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("exec head -c 1000000000 /dev/zero", "printed more than 1 MiB"),
        ("exec yes", "printed more than 1 MiB"),
        ("exec yes >&2", "printed more than 64 KiB of errors"),
        ("yes & yes >&2 & wait", "printed more than "),
    ],
)
def test_flood_is_cut_at_once(bed, stopwatch, script, reason):
    ran = bed.run(bed.shell("plugin", script))
    assert ran.output.status is OutputStatus.ERROR
    assert ran.output.reason.startswith(reason)
    assert ran.abused
    assert stopwatch() < 20


def test_fork_bomb_is_defused(bed, stopwatch):
    ran = bed.run(bed.python("plugin", _BOMB))
    assert ran.output.reason == "made more than 12 processes"
    assert ran.abused
    assert stopwatch() < 20


def test_fork_bomb_out_of_sessions_is_defused(bed, stopwatch):
    ran = bed.run(bed.python("plugin", _BOMB.replace("== 0:\n", "== 0:\n        os.setsid()\n")))
    assert ran.output.reason == "made more than 12 processes"
    assert stopwatch() < 20


def test_memory_is_bounded(bed):
    ran = bed.run(bed.python("plugin", "x = bytearray(10 * 1024**3)\nprint(1)"))
    assert ran.output.reason == "exit 1: MemoryError"


def test_daemon_that_left_the_session_is_killed(bed, stopwatch):
    path = bed.python(
        "plugin",
        """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                null = os.open("/dev/null", os.O_RDWR)
                for fd in (0, 1, 2):
                    os.dup2(null, fd)
                time.sleep(30)
            os._exit(0)
        os.wait()
        print("1")
        """,
    )
    ran = bed.run(path)
    assert ran.output.json == b"1"
    assert stopwatch() < 20


def test_daemon_that_holds_stdout_does_not_delay_the_answer(bed, stopwatch):
    ran = bed.run(bed.shell("plugin", "setsid sleep 30 & sleep 31 & echo 1"))
    assert ran.output.json == b"1"
    assert stopwatch() < 20


def test_plugin_that_closes_stdout_early_is_still_watched(bed, stopwatch):
    ran = bed.run(bed.shell("plugin", "exec >&- 2>&-; sleep 30"), seconds=0.4)
    assert ran.output.status is OutputStatus.TIMEOUT
    assert stopwatch() < 20


def test_plugin_that_stops_itself_times_out(bed, stopwatch):
    ran = bed.run(bed.shell("plugin", "kill -STOP $$; echo 1"), seconds=0.3)
    assert ran.output.status is OutputStatus.TIMEOUT
    assert stopwatch() < 20


def test_plugin_that_kills_its_own_group_is_an_error(bed):
    ran = bed.run(bed.shell("plugin", "kill -TERM 0; sleep 5"))
    assert ran.output.reason == "killed by signal 15"


def test_processor_time_is_bounded(bed, limits):
    path = bed.shell("plugin", "while :; do :; done")
    ran = bed.run(path, seconds=60, limits=limits(cpu_seconds=1))
    assert ran.output.status is OutputStatus.ERROR
    assert "signal 9" in ran.output.reason or "processor time" in ran.output.reason


def test_cancelled_run_leaves_nothing(bed):
    path = bed.shell("plugin", "trap '' TERM; setsid sleep 30 & while :; do sleep 0.1; done")

    async def cancel():
        task = asyncio.create_task(
            bed.runner().run(PluginSpec("plugin", path, deadline=timedelta(seconds=30)))
        )
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0.1)

    asyncio.run(cancel())


def test_the_others_are_collected_all_the_same_and_the_loop_stays_awake(bed):
    bed.shell("flood", "exec yes")
    bed.shell("hang", "sleep 60")
    bed.python("bomb", _BOMB)
    bed.shell("good", "echo 1")
    late = []

    async def tick():
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0.02)
            late.append(loop.time() - before)

    async def silent(words):
        return None

    async def collect():
        ticker = asyncio.create_task(tick())
        settings = CollectSettings(
            bed.plugins, bed.local, bed.var, bed.work, deadline=timedelta(seconds=1)
        )
        collector = Collector(
            settings, clock=lambda: None, runner=bed.runner(), guard=RebootGuard(silent)
        )
        collected = await collector.collect(None)
        ticker.cancel()
        return collected

    outputs = {output.name: output for output in asyncio.run(collect()).outputs}
    assert outputs["good"].status is OutputStatus.OK
    assert outputs["hang"].status is OutputStatus.TIMEOUT
    assert max(late) < 3.0
