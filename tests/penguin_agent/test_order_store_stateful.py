"""Any sequence of orders, crashes and lost answers: acted on at most once, and told to the end."""

import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from penguin_agent.orders.acts import Outcome
from penguin_agent.orders.outbox import Stream
from penguin_agent.orders.records import summary_of
from penguin_agent.orders.refusals import Refused
from penguin_agent.orders.store import OrderStore, sha256
from penguin_agent.orders.voice import Voice
from penguindome import keys
from penguindome.envelope import Envelope
from penguindome.ids import new_device_id, new_fleet_id, new_ulid
from penguindome.orders.bodies import CommandBody
from penguindome.orders.kinds import KINDS
from penguindome.orders.opening import Opened
from penguindome.orders.receipts import FINAL, open_receipt
from penguindome.payload import make_payload, read_payload
from penguindome.times import utc_now

FLEET, DEVICE = new_fleet_id(), new_device_id()
KEYS = (keys.generate_key(), keys.generate_key())
ENDS = st.sampled_from(FINAL)
PARTS = st.sampled_from(["", "commands/a", "commands/b"])
POINTS = st.sampled_from(
    ["orders.accepting", "orders.accepted", "orders.running", "orders.finishing", "orders.finished"]
)
PICK = st.integers(0, 9)


class Crash(BaseException):
    """The process is gone; what was committed stays."""


class StoreMachine(RuleBasedStateMachine):
    """The store, beside a model of what it must know, and a server that hears receipts."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="pd"))
        self.now = utc_now().replace(microsecond=0)
        self.key = KEYS[0]
        self.crash_at = ""
        self.ids = [new_ulid(self.now) for _ in range(10)]
        self.begun: dict[str, int] = {}
        self.ends: dict[tuple[str, str], str] = {}
        self.heard: dict[tuple[str, str], list] = {}
        self.open()

    def open(self) -> None:
        voice = Voice(FLEET, DEVICE, lambda: self.key)
        self.store = OrderStore(self.folder, voice, self.fail)
        self.store.open(self.now)

    def fail(self, point: str) -> None:
        if point == self.crash_at:
            self.crash_at = ""
            raise Crash

    def survive(self, act) -> bool:
        """Do something; after a crash the store is opened again. False if it crashed."""
        try:
            act()
        except Crash:
            self.store.file.close()
            self.open()
            return False
        return True

    def envelope(self, order_id: str) -> tuple[Opened, Envelope]:
        body = CommandBody({DEVICE: "web1"}, "x", ("true",))
        data = make_payload(
            fleet=FLEET,
            kind="command",
            id=order_id,
            issued_time=self.now,
            not_before_time=self.now,
            expires_time=self.now + timedelta(hours=1),
            devices=[DEVICE],
            reason="r",
            by="alice",
            body=body.to_json(),
        )
        return Opened(KINDS["command"], read_payload(data), body, frozenset()), Envelope(
            "command", data, (b"s",)
        )

    @rule(pick=PICK)
    def an_order_comes(self, pick):
        order_id = self.ids[pick]
        if self.store.find(order_id) is not None:
            self.store.answer_again(order_id, self.now)
            return
        opened, envelope = self.envelope(order_id)
        self.survive(lambda: self.store.accept(opened, envelope, self.now))

    @rule(pick=PICK)
    def an_order_is_refused(self, pick):
        order_id = self.ids[pick]
        opened, envelope = self.envelope(order_id)
        if self.store.find(order_id) is None:
            outcome = Outcome("refused", "no", "no")
            words = summary_of(opened.body)
            self.survive(
                lambda: self.store.refuse(opened.payload, envelope, outcome, self.now, words)
            )
            self.ends[order_id, ""] = "refused"

    @rule()
    def what_is_accepted_begins(self):
        for record in self.store.unfinished():
            if record.whole.state == "accepted":
                order_id = record.order_id
                assert record.envelope is not None

                def begin(order_id=order_id):
                    self.store.running(order_id, "", {}, self.now)

                if self.survive(begin):
                    self.begun[order_id] = self.begun.get(order_id, 0) + 1

    @rule(pick=PICK, part=PARTS, state=ENDS)
    def something_ends(self, pick, part, state):
        order_id = self.ids[pick]
        record = self.store.find(order_id)
        if record is None or record.whole.state != "running":
            return
        outcome = Outcome(state, "why", exit_code=1, details={"n": pick})
        self.survive(lambda: self.store.finish(order_id, part, outcome, self.now))
        if (found := self.store.find(order_id)) and not part and found.whole.is_final:
            self.ends.setdefault((order_id, ""), found.whole.state)

    @rule(point=POINTS)
    def crash_soon(self, point):
        self.crash_at = point

    @rule()
    def restart(self):
        self.store.file.close()
        self.open()

    @rule()
    def the_key_is_renewed(self):
        self.key = KEYS[1 - KEYS.index(self.key)]

    @rule(lose=st.booleans(), count=st.integers(1, 5))
    def hand_in(self, lose, count):
        waiting = self.store.outbox.unsent(2000, count)
        for one in waiting:
            receipt = open_receipt(
                one.sealed, spki=keys.key_spki(self.key), fleet=FLEET, device_id=DEVICE
            )
            self.heard.setdefault((receipt.order_id, receipt.part), []).append(receipt)
        if not lose:
            self.store.outbox.acknowledge([one.sequence for one in waiting], [])

    @rule(pick=PICK)
    def a_program_prints(self, pick):
        self.store.outbox.begin(Stream(self.ids[pick], "", "stdout"))

    @rule(pick=PICK)
    def the_server_forgets(self, pick):
        self.store.outbox.unwanted([self.ids[pick]])
        if self.store.find(self.ids[pick]) is not None:
            self.store.answer_again(self.ids[pick], self.now)

    @rule(pick=PICK)
    def a_forgery_comes(self, pick):
        refused = Refused(sha256(bytes([pick])), "", "x", "not-signed", "w", self.now, self.now)
        self.store.refusals.add(refused, None)

    @invariant()
    def no_order_begins_twice(self):
        assert all(count == 1 for count in self.begun.values())

    @invariant()
    def an_end_stands(self):
        for (order_id, _), state in self.ends.items():
            record = self.store.find(order_id)
            if record is not None:
                assert record.whole.state == state
                assert record.envelope is None or state == "refused"

    def teardown(self):
        try:
            self.crash_at = ""
            while self.store.outbox.unsent(2000, 5):
                self.hand_in(lose=False, count=5)
            for order_id in self.ids:
                if (record := self.store.find(order_id)) is not None:
                    last = self.heard[order_id, ""][-1]
                    assert last.state == record.whole.state
            for heard in self.heard.values():
                final = {one.state for one in heard if one.is_final}
                assert len(final) <= 1
        finally:
            self.store.file.close()
            shutil.rmtree(self.folder, ignore_errors=True)


StoreMachine.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestStore = StoreMachine.TestCase
