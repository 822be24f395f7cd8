"""An agent is killed again and again while orders come; each is done once at most, none is lost."""

from __future__ import annotations

import random

import pytest

from tests.attacks.kit.killing import kill_for
from tests.attacks.kit.world import world_of

pytestmark = pytest.mark.timeout(300)
SECONDS = 40


def test_no_order_is_done_twice_and_the_identity_stays(operators, record_property):
    with world_of(operators) as world:
        before = world.device_id
        tally = kill_for(world, SECONDS, random.Random(14))
        record_property("kills", tally.kills)
        record_property("ends", str(tally.ends))
        assert tally.broken == []
        assert tally.kills >= 10
        assert tally.ends.get("succeeded", 0) >= tally.kills
        # One device, with the identity that it had; and it still obeys.
        assert list(world.server.devices) == [before]
        assert world.agent.status()["device_id"] == before
        world.control()
        assert "Traceback" not in world.agent.log()
