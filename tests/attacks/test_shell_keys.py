"""A server that was taken over puts a key of its own in the place of a device's: it is refused."""

from __future__ import annotations

import pytest

from penguindome import keys
from penguindome.framing import frame
from tests.attacks.kit.database import StolenDatabase
from tests.attacks.kit.shells import EvilRelayFleet, newest, shell
from tests.harness.approving import approved
from tests.harness.process import wait_until
from tests.stories.shells import NOTHING

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
SUBSTITUTED = ["own device key", "own device key, own proof"]


@pytest.fixture(scope="module")
def fleet():
    with EvilRelayFleet() as running:
        yield running


@pytest.fixture(scope="module")
def agent(fleet):
    return approved(fleet, fleet.plugins(nothing=NOTHING))


@pytest.fixture(autouse=True)
def _honest(fleet):
    fleet.server.rules.unlink(missing_ok=True)
    yield
    fleet.server.rules.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def session(fleet, agent):
    """Return the first session: from now on the device's key is known, by its approval."""
    with shell(fleet.alice, agent.device_id(), "--", "echo one") as one:
        assert one.end()[:2] == (0, b"one\n")
    found = newest(fleet.alice)["session_id"]
    wait_until(lambda: fleet.alice.json("session", "show", found)["complete"], 30, "no end")
    return found


@pytest.mark.parametrize("how", SUBSTITUTED)
def test_a_key_in_the_place_of_the_known_one_is_refused(fleet, agent, session, tmp_path, how):
    fleet.server.obey(how=how)
    with shell(fleet.alice, agent.device_id(), "--", f"touch {tmp_path}/ran") as one:
        status, shown, said = one.end()
    assert (status, shown, b"is another than the one that you know" in said) == (255, b"", True)
    assert b"--accept-key" in said
    assert not (tmp_path / "ran").exists()
    # Nothing was signed that the server could hand over later.
    assert newest(fleet.alice)["session_id"] == session


def test_a_key_that_changes_once_there_is_a_session_is_refused(fleet, agent, session):
    fleet.server.obey(how="own device key, late")
    with shell(fleet.alice, agent.device_id(), "--", "true") as one:
        status, shown, said = one.end()
    assert (status, shown, b"is another than the one that you know" in said) == (255, b"", True)


@pytest.mark.parametrize("how", SUBSTITUTED)
def test_who_knows_no_key_hears_that_only_the_server_vouches(fleet, agent, session, how):
    known = fleet.alice.folder / "config/penguinctl/devices.json"
    before = known.read_bytes()
    known.unlink()
    fleet.server.obey(how=how)
    try:
        with shell(fleet.alice, agent.device_id(), "--", "true") as one:
            said = one.end()[2]
        assert b"Only the server says" in said
        assert b"alice approved an earlier key" in said
    finally:
        known.write_bytes(before)


@pytest.mark.parametrize("how", SUBSTITUTED)
def test_recordings_are_verified_with_the_known_key(fleet, agent, session, how):
    fleet.server.obey(how=how)
    done = fleet.alice.try_run("session", "verify", session)
    assert (done.returncode, "Whole and unchanged" in done.stdout) == (0, True)
    assert "names another key" in done.stderr
    stolen = StolenDatabase(fleet.server.folder / "state")
    pieces = stolen.records["transcripts"]
    before = list(pieces.find({"order_id": session}))
    try:
        for one in before:
            own = keys.sign(
                keys.generate_key(), frame("transcript-checkpoint", bytes(one["checkpoint"]))
            )
            pieces.update_one({"_id": one["_id"]}, {"$set": {"signature": own}})
        done = fleet.alice.try_run("session", "verify", session)
        assert (done.returncode, "not signed by the device" in done.stderr) == (7, True)
    finally:
        pieces.delete_many({"order_id": session})
        pieces.insert_many(before)
        stolen.close()
