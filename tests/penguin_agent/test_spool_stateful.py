"""Any sequence of collections, crashes, lost answers and refusals ends in one truth."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.penguin_agent.spool_machine import World, value

NAMES = st.sampled_from(["disks", "firewall", "os", "users"])
POINTS = st.sampled_from(
    [
        "spool.written",
        "spool.acknowledged",
        "spool.state-written",
        "spool.deleted",
        "spool.part-written",
        "spool.merged",
        "spool.put-aside",
    ]
)


class SpoolMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="pd"))
        self.world = World(self.folder)

    @rule(name=NAMES, number=st.integers(0, 5), size=st.sampled_from([0, 0, 400, 900]))
    def plugin_says(self, name, number, size):
        self.world.plugins[name] = value(number, size)

    @rule(name=NAMES)
    def plugin_goes(self, name):
        self.world.plugins.pop(name, None)

    @rule(name=NAMES)
    def plugin_says_poison(self, name):
        self.world.plugins[name] = value(99)
        self.world.server.poison.add(value(99))

    @rule(request=st.sampled_from(["", "", "r1"]))
    def collect(self, request):
        self.world.survive(self.world.collect, request)

    @rule(lose_answer=st.booleans())
    def submit(self, lose_answer):
        self.world.survive(lambda: self.world.submit(lose_answer=lose_answer))

    @rule()
    def crash(self):
        self.world.crash()

    @rule(point=POINTS)
    def crash_soon(self, point):
        self.world.crash_at = point

    @rule()
    def server_forgets(self):
        self.world.server.forget()

    def teardown(self):
        try:
            self.world.settle()
            self.world.settle()
            self.world.check()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)


SpoolMachine.TestCase.settings = settings(
    max_examples=120,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestSpool = SpoolMachine.TestCase
