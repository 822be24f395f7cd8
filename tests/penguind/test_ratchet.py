"""The rule that tells one holder of a key from two, against every interleaving of one."""

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from penguind.domain.ratchet import Ratchet, current

VALUES = st.binary(min_size=0, max_size=2)
EPOCH = 3


class OneDevice(RuleBasedStateMachine):
    """One agent whose welcomes, confirmations, disk and process fail at any point."""

    def __init__(self):
        super().__init__()
        self.server = Ratchet(EPOCH)
        self.disk = b""
        self.welcome = None
        self.on_the_way = []
        self.made = 0

    @rule()
    def check_in(self):
        """Also again at once, as after a change of the network: the welcome before is lost."""
        self.made += 1
        turned = self.server.checked_in(self.disk, b"%d" % self.made)
        assert turned is not None, "one device looks like two"
        assert turned.turn == self.server.turn + 1
        self.server, self.welcome = turned, turned.offer

    @precondition(lambda self: self.welcome is not None)
    @rule(full=st.booleans())
    def keep_the_value(self, full):
        """The disk may be full; then nothing is confirmed."""
        if not full:
            self.disk = self.welcome
            self.on_the_way.append(self.welcome)
        self.welcome = None

    @rule()
    def kill_before_the_disk(self):
        self.welcome = None

    @precondition(lambda self: self.on_the_way)
    @rule(data=st.data())
    def confirmation_arrives(self, data):
        """Any of them, at any time, or never."""
        value = self.on_the_way.pop(data.draw(st.integers(0, len(self.on_the_way) - 1)))
        self.server = self.server.confirmed(value) or self.server

    @rule()
    def restore_the_database(self):
        self.server = current(self.server, self.server.epoch + 1)

    @invariant()
    def holds_what_the_server_takes(self):
        assert self.server.checked_in(self.disk, b"next") is not None


TestOneDevice = OneDevice.TestCase
TestOneDevice.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


class Holder:
    """One of two machines with a copied state."""

    def __init__(self, disk):
        self.disk = disk

    def visit(self, ratchet, value, *, confirms=True):
        turned = ratchet.checked_in(self.disk, value)
        if turned is None:
            return None
        self.disk = value
        return (turned.confirmed(value) or turned) if confirms else turned


@given(st.lists(st.booleans(), max_size=6), st.booleans(), st.booleans())
def test_two_holders_are_found_when_the_second_one_comes(visits, copy_confirms, copy_is_first):
    """Whichever comes first after the copy, and whether or not the thief's agent plays along."""
    device = Holder(b"")
    server = Ratchet(EPOCH)
    for made, confirms in enumerate([True, *visits]):
        server = device.visit(server, b"v%d" % made, confirms=confirms)
    copy = Holder(device.disk)
    order = [copy, device] if copy_is_first else [device, copy]
    for turn, holder in enumerate([*order, *order, *order]):
        confirms = copy_confirms if holder is copy else True
        server = holder.visit(server, b"w%d" % turn, confirms=confirms)
        if server is None:
            break
    assert server is None, "two holders went unnoticed"
    assert turn <= 3


@given(VALUES, VALUES)
def test_who_never_confirmed_is_never_judged(first, second):
    ratchet = Ratchet(EPOCH).checked_in(first, b"one")
    assert ratchet.checked_in(second, b"two") is not None


def test_nothing_and_anything_else_is_refused_once_a_value_was_confirmed():
    ratchet = Ratchet(EPOCH).checked_in(b"", b"one").confirmed(b"one")
    assert ratchet.checked_in(b"one", b"two") is not None
    for wrong in (b"", b"two", b"on", b"onee"):
        assert ratchet.checked_in(wrong, b"three") is None


def test_a_welcome_that_another_one_overtook_is_worth_nothing():
    ratchet = Ratchet(EPOCH).checked_in(b"", b"one").confirmed(b"one")
    overtaken = ratchet.checked_in(b"one", b"two").checked_in(b"one", b"three")
    assert overtaken.checked_in(b"two", b"four") is None
    assert overtaken.confirmed(b"two") is None
    assert overtaken.checked_in(b"three", b"four").base == b"three"


def test_the_first_check_in_of_an_epoch_is_taken_and_starts_anew():
    before = Ratchet(EPOCH, 7, b"base", b"offer", proven=True)
    after = current(before, EPOCH + 1)
    assert after == Ratchet(EPOCH + 1, 7)
    ratchet = after.checked_in(b"lost by the backup", b"new").confirmed(b"new")
    assert ratchet.checked_in(b"lost by the backup", b"newer") is None
    assert current(before, EPOCH) is before
    assert current(None, EPOCH) == Ratchet(EPOCH)
