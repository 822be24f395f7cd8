"""A device forgot what it has done; the server that was taken over remembers it very well."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest

from penguindome.envelope import CLOCK_TOLERANCE
from penguindome.times import utc_now
from tests.attacks.kit.world import order_id, world_of
from tests.penguin_agent.agent_process import eventually

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def forgetful(operators):
    with world_of(operators) as world:
        yield world


def copied_over(backup, state):
    """Bring the orders back as cp does: the files stay the same ones, with what they held then."""
    for path in sorted((backup / "orders").rglob("*")):
        if path.is_file():
            (state / "orders" / path.relative_to(backup / "orders")).write_bytes(path.read_bytes())
    for path in list((state / "orders").iterdir()):
        if not (backup / "orders" / path.name).exists():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def whole_copied_over(backup, state):
    """Bring everything but the proof of the last check-in back as cp -a does."""
    ratchet = (state / "state" / "ratchet").read_bytes()
    copied_over(backup, state)
    shutil.copytree(backup, state, symlinks=True, dirs_exist_ok=True, copy_function=shutil.copy2)
    (state / "state" / "ratchet").write_bytes(ratchet)


def unpacked(backup, state):
    """Bring the orders back as tar does: other files of the same names."""
    shutil.rmtree(state / "orders")
    shutil.copytree(backup / "orders", state / "orders")


def everything_unpacked(backup, state):
    """Bring everything but the proof of the last check-in back as tar does."""
    ratchet = (state / "state" / "ratchet").read_bytes()
    for path in list(state.iterdir()):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    shutil.copytree(backup, state, symlinks=True, dirs_exist_ok=True)
    (state / "state" / "ratchet").write_bytes(ratchet)


def removed(backup, state):
    """Lose the orders alone."""
    del backup
    shutil.rmtree(state / "orders")


def spoiled(backup, state):
    """Damage the file."""
    del backup
    (state / "orders" / "orders.db").write_bytes(b"no database" * 1000)


WAYS = [copied_over, whole_copied_over, unpacked, everything_unpacked, removed, spoiled]


def restarted(world):
    count = len(world.server.device.confirmed)
    world.agent.start()
    eventually(lambda: len(world.server.device.confirmed) > count)


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_nothing_that_may_have_been_done_is_done_again(forgetful, way):
    world = forgetful
    state, backup = world.agent.state, world.folder / "backup"
    world.control()
    world.agent.stop()
    shutil.copytree(state, backup, symlinks=True)
    restarted(world)
    mark, ahead_mark = world.mark(), world.mark()
    envelope = world.signed(mark=mark)
    # By an operator whose clock is ahead of the device's, by as much as is let pass.
    ahead = utc_now().replace(microsecond=0) + CLOCK_TOLERANCE - timedelta(seconds=20)
    hurried = world.signed(mark=ahead_mark, issued_time=ahead)
    world.runs(envelope, mark)
    world.runs(hurried, ahead_mark)
    world.agent.stop()
    way(backup, state)
    restarted(world)
    for one in (envelope, hurried):
        known = len(world.server.receipts[order_id(one)])
        world.server.send(one, one)
        said = eventually(lambda one=one, n=known: world.server.receipts[order_id(one)][n:])[-1]
        assert (said.state, said.code) == ("refused", "memory-lost")
    # What is certainly newer is done: issued after the memory began, whoever's clock is ahead.
    began = utc_now()
    eventually(lambda: utc_now() > began + timedelta(seconds=2))
    fresh = world.mark()
    issued = utc_now().replace(microsecond=0) + CLOCK_TOLERANCE
    world.runs(world.signed(mark=fresh, issued_time=issued), fresh)
    assert mark.read_text() == ahead_mark.read_text() == "ran\n"


def test_a_device_that_only_restarts_forgets_nothing_and_takes_what_is_older(forgetful):
    world = forgetful
    withheld_mark = world.mark()
    withheld = world.signed(mark=withheld_mark)
    for kill in (False, True):
        world.restart(kill=kill)
    world.runs(withheld, withheld_mark)
