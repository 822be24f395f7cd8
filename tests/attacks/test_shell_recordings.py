"""Recordings that were changed afterwards, in the database or on the device, are found out."""

from __future__ import annotations

import json

import pytest
from bson import Binary

from tests.attacks.kit.database import StolenDatabase
from tests.attacks.kit.shells import newest, shell
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until
from tests.stories.shells import device_of

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
# Five lines with pauses, so that there are several pieces.
PRINTS = "for n in 1 2 3 4 5; do echo line $n; sleep 1.1; done"


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture(scope="module")
def agent(fleet):
    # After its server was away for a while, a device takes its time to come back.
    return device_of(fleet, "[shell]\nresume_seconds = 300\n")


@pytest.fixture(scope="module")
def pieces(fleet):
    stolen = StolenDatabase(fleet.server.folder / "state")
    yield stolen.records["transcripts"]
    stolen.close()


def recorded(fleet, agent, words=PRINTS):
    fleet.alice.run("shell", agent.device_id(), "--", words)
    session = newest(fleet.alice)["session_id"]
    wait_until(lambda: fleet.alice.json("session", "show", session)["complete"], 30, "no end")
    return session


@pytest.fixture(scope="module")
def session(fleet, agent):
    return recorded(fleet, agent)


@pytest.fixture
def kept(session, pieces):
    """Return a recording's records, and put them back afterwards."""
    before = list(pieces.find({"order_id": session}).sort("number", 1))
    assert len(before) >= 4
    yield before
    pieces.delete_many({"order_id": session})
    pieces.insert_many(before)


def verdict(fleet, session):
    """Return whether a recording is good, and what is said of it."""
    done = fleet.alice.try_run("session", "verify", session)
    return done.returncode == 0, done.stdout + done.stderr


def test_a_recording_is_good_as_long_as_nobody_touches_it(fleet, session, kept):
    good, said = verdict(fleet, session)
    assert (good, "Whole and unchanged" in said) == (True, True)


def test_a_changed_line_is_named(fleet, session, kept, pieces):
    number, piece = next((n, one) for n, one in enumerate(kept) if b"line 3" in one["data"])
    before = b"".join(one["data"] for one in kept[:number]) + piece["data"].partition(b"line 3")[0]
    changed = piece["data"].replace(b"line 3", b"line X")
    pieces.update_one({"_id": piece["_id"]}, {"$set": {"data": Binary(changed)}})
    good, said = verdict(fleet, session)
    line = before.count(b"\n") + 1
    assert (good, f"line {line} is not what the device recorded" in said) == (False, True), said
    assert fleet.alice.try_run("session", "play", session).returncode != 0


def test_a_line_that_was_taken_out_or_put_in_is_found(fleet, session, kept, pieces):
    piece = kept[0]
    for changed in (piece["data"] + b'[0.5,"o","more"]\n', piece["data"].partition(b"\n")[2]):
        pieces.update_one({"_id": piece["_id"]}, {"$set": {"data": Binary(changed)}})
        assert not verdict(fleet, session)[0]


def test_a_missing_end_is_found(fleet, session, kept, pieces):
    pieces.delete_one({"_id": kept[-1]["_id"]})
    good, said = verdict(fleet, session)
    assert (good, "end is missing" in said) == (False, True), said
    # Nothing is left: that is no recording, and no proof of one.
    pieces.delete_many({"order_id": session})
    good, said = verdict(fleet, session)
    assert (good, "all of it is missing" in said) == (False, True), said


def test_a_missing_middle_and_beginning_are_found(fleet, session, kept, pieces):
    for gone in (1, 0):
        pieces.delete_one({"_id": kept[gone]["_id"]})
        assert not verdict(fleet, session)[0]


def test_pieces_that_changed_places_are_found(fleet, session, kept, pieces):
    first, second = kept[1], kept[2]
    names = ("data", "checkpoint", "signature")
    pieces.update_one({"_id": first["_id"]}, {"$set": {name: second[name] for name in names}})
    pieces.update_one({"_id": second["_id"]}, {"$set": {name: first[name] for name in names}})
    good, said = verdict(fleet, session)
    assert (good, "piece 1 belongs elsewhere" in said) == (False, True), said


def test_another_sessions_recording_is_found(fleet, agent, session, kept, pieces):
    other = recorded(fleet, agent, "echo harmless")
    pieces.delete_many({"order_id": session})
    for one in pieces.find({"order_id": other}):
        moved = one | {"_id": one["_id"].replace(other, session), "order_id": session}
        pieces.insert_one(moved)
    good, said = verdict(fleet, session)
    assert (good, "belongs elsewhere" in said) == (False, True), said


def test_two_sessions_recordings_that_changed_places_are_found(fleet, agent, session, kept, pieces):
    other = recorded(fleet, agent, "echo another")
    theirs = list(pieces.find({"order_id": other}))
    pieces.delete_many({"order_id": {"$in": [session, other]}})
    for records, here, there in ((kept, session, other), (theirs, other, session)):
        for one in records:
            pieces.insert_one(one | {"_id": one["_id"].replace(here, there), "order_id": there})
    for one in (session, other):
        good, said = verdict(fleet, one)
        assert (good, "piece 0 belongs elsewhere" in said) == (False, True), said
        assert fleet.alice.try_run("session", "play", one).returncode == 7
    pieces.delete_many({"order_id": {"$in": [session, other]}})
    pieces.insert_many(theirs)
    # The other one's are good where they belong.
    assert verdict(fleet, other)[0]


def test_an_earlier_end_is_found_by_the_devices_own_word(fleet, session, kept, pieces):
    """The server may drop the tail and mark what is left as whole; it cannot sign that."""
    last = kept[-2]
    checkpoint = json.loads(last["checkpoint"])
    checkpoint["final"] = True
    pieces.delete_one({"_id": kept[-1]["_id"]})
    forged = json.dumps(checkpoint, separators=(",", ":"), sort_keys=True).encode()
    pieces.update_one({"_id": last["_id"]}, {"$set": {"checkpoint": Binary(forged), "final": True}})
    good, said = verdict(fleet, session)
    assert (good, "not signed by the device" in said) == (False, True), said


@pytest.mark.parametrize("how", ["changed", "cut", "gone", "swapped"])
def test_what_is_changed_on_the_device_before_it_is_handed_in_is_found(fleet, agent, how):
    with shell(fleet.alice, agent.device_id(), "--wait", "-T", "--", "sh") as one:
        # The first piece that waits is in the agent's memory already; another one is not.
        one.line("(sleep 5; echo some; sleep 2.2; echo more; sleep 2.2; echo secret deeds) &")
        one.line("echo begun")
        assert one.process.stdout.readline() == b"begun\n"
        session = newest(fleet.alice)["session_id"]
        folder = agent.folder / "state/recordings" / session
        wait_until(lambda: fleet.alice.json("session", "show", session)["pieces"], 20, "none")
        fleet.server.stop()
        try:
            wait_until(lambda: waiting(folder), 20, "nothing waits")
            for path in waiting(folder):
                data = path.read_bytes()
                if how == "gone":
                    path.unlink()
                elif how == "swapped":
                    _swap(path)
                elif how == "cut":
                    path.write_bytes(data[:-10])
                else:
                    path.write_bytes(data.replace(b"secret deeds", b"routine work"))
        finally:
            fleet.server.start()
        one.line("exit 0")
        one.end(120)
    wait_until(lambda: fleet.alice.json("session", "show", session)["complete"], 60, "no end")
    good, said = verdict(fleet, session)
    assert not good, said
    assert "not what the device recorded" in said or "belongs elsewhere" in said


def _swap(path):
    """Let a piece and the last one before it change places, whole as they are."""
    before = path.with_name(f"{int(path.name) - 1:0{len(path.name)}}")
    mine, its = path.read_bytes(), before.read_bytes()
    path.write_bytes(its)
    before.write_bytes(mine)


def waiting(folder):
    return [path for path in folder.glob("[0-9]*") if b"secret" in path.read_bytes()]
