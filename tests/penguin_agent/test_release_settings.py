"""Intervals: the server's wish, then the release's, then the device's own; and the daily look."""

import asyncio
from datetime import timedelta

import pytest

from penguin_agent.config import ScheduleSettings
from penguin_agent.connection import Wishes
from penguin_agent.release import keeper
from penguin_agent.tuning import NO_WISHES, tuned
from penguindome.orders.release_body import ReleaseSettings
from tests.penguin_agent.release_kit import Laptop, says

OWN = ScheduleSettings(collect_interval=timedelta(minutes=5), submit_interval=timedelta(minutes=1))
RELEASE = ReleaseSettings(600, 120, {"sshd": 3600, "os_info": 7200})


def seconds(value):
    return int(value.total_seconds())


@pytest.mark.parametrize(
    ("release", "server", "expected"),
    [
        (ReleaseSettings(), NO_WISHES, (300, 60, {})),
        (RELEASE, NO_WISHES, (600, 120, {"sshd": 3600, "os_info": 7200})),
        (
            RELEASE,
            Wishes(timedelta(seconds=900), None, {"sshd": timedelta(seconds=60)}),
            (900, 120, {"sshd": 60, "os_info": 7200}),
        ),
        (ReleaseSettings(), Wishes(None, timedelta(seconds=30), {}), (300, 30, {})),
    ],
)
def test_who_says_how_often(release, server, expected):
    now = tuned(OWN, release, server)
    plugins = {name: seconds(value) for name, value in now.plugin_intervals.items()}
    assert (seconds(now.collect_interval), seconds(now.submit_interval), plugins) == expected


def test_the_tree_is_looked_at_every_day(folder, fleet, monkeypatch):
    laptop = Laptop(folder, fleet)
    laptop.install(1, {"plugins/one": says("one")})
    monkeypatch.setattr(keeper, "LOOK_PERIOD", timedelta(seconds=0.05))
    (laptop.current / "plugins/one").write_bytes(b"altered")
    watch = keeper.Keeper(laptop.releases, health=None, spool=None, collecting=None)

    async def a_day():
        async with asyncio.timeout(20):
            async with asyncio.TaskGroup() as group:
                running = group.create_task(watch.run())
                while laptop.releases.checked.is_whole:  # noqa: ASYNC110 -- nobody tells
                    await asyncio.sleep(0.01)
                running.cancel()

    asyncio.run(a_day())
    assert laptop.releases.checked.altered == ("plugins/one",)


class Wire:
    """Counts how often a new check-in is wanted."""

    def __init__(self):
        self.wanted = 0

    def reconnect(self):
        self.wanted += 1

    def wake(self, *, asked):
        assert asked


def test_a_check_in_that_began_before_the_switch_does_not_count_and_is_repeated(folder, fleet):
    laptop = Laptop(folder, fleet)
    wire = Wire()
    health = keeper.AgentHealth(laptop.releases, wire, laptop.collector, collecting=None)
    assert health.greeting() == 0
    laptop.install(1, {"plugins/one": says("one")})

    async def late():
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(health.check_in())
            await asyncio.sleep(0)
            health.welcomed()
            await asyncio.sleep(0)
            assert not waiting.done()
            assert wire.wanted == 2
            assert health.greeting() == 1
            health.welcomed()

    asyncio.run(late())
