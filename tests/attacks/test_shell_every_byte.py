"""No byte of a recording can be another one, and none of its end can be missing, unnoticed."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from bson import Binary

from penguinctl.app import App
from penguinctl.shell import recording, verifying
from penguinctl.shell.opening import order_of, session_of
from tests.attacks.kit.database import StolenDatabase
from tests.attacks.kit.shells import newest
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until
from tests.stories.shells import device_of, run

pytestmark = [pytest.mark.root, pytest.mark.timeout(240)]
# Three pieces or more, with bytes that are no text and text that is longer than its characters.
PRINTS = r"for n in 1 2; do printf 'line %s: gr\303\274n \377\n' $n; sleep 1.3; done"
FIELDS = ("data", "checkpoint", "signature")
SOME = 4


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture(scope="module")
def session(fleet):
    assert run(fleet.alice, device_of(fleet).device_id(), "--", PRINTS).returncode == 0
    found = newest(fleet.alice)["session_id"]
    wait_until(lambda: fleet.alice.json("session", "show", found)["complete"], 30, "no end")
    return found


@pytest.fixture(scope="module")
def app(fleet):
    made = App(fleet.alice.folder / "config/penguinctl")
    yield made
    made.session.close()


@pytest.fixture(scope="module")
def checked(app, session):
    """Return what penguinctl session verify goes by."""
    return verifying.checked(app, session)


@pytest.fixture(scope="module")
def kept(checked):
    """Return the pieces as penguinctl gets them."""
    assert len(checked.pieces) >= 3
    return checked.pieces


@pytest.fixture(scope="module")
def verify(app, session, checked):
    """Return what penguinctl session verify does with pieces."""
    response = session_of(app, session)
    order = order_of(response)

    def work(pieces):
        result = recording.verified(response, order, pieces, checked.held)
        return result, result.problem

    return work


def flips(data):
    """Yield data with one bit of one byte turned over, for each byte."""
    chance = random.Random(5)
    for place in range(len(data)):
        yield (
            place,
            data[:place] + bytes([data[place] ^ 1 << chance.randrange(8)]) + data[place + 1 :],
        )


def test_the_recording_is_good(app, checked, kept, verify):
    result, problem = verify(kept)
    assert (problem, result.is_complete) == ("", True)
    assert verifying.against_receipt(app, checked) == ""
    # And a recording that is good by itself is still held against the device's receipt.
    other = replace(checked, result=replace(result, chain=bytes(32)))
    assert "another recording" in verifying.against_receipt(app, other)


def test_a_changed_byte_of_what_was_shown_is_found_in_its_line(kept, verify):
    tried, before = 0, 0
    for number, piece in enumerate(kept):
        for place, changed in flips(piece.data):
            line = before + piece.data[:place].count(b"\n") + 1
            result, problem = verify(
                [*kept[:number], replace(piece, data=changed), *kept[number + 1 :]]
            )
            assert (result.lines, result.is_complete) == (line - 1, False), (number, place)
            expected = f"line {line} is not what the device recorded"
            # The last end of line of a piece is no part of a line.
            at_end = place == len(piece.data) - 1
            assert problem == expected or (at_end and f"line {line} has no end" in problem)
            tried += 1
        before += piece.data.count(b"\n")
    assert tried == sum(len(one.data) for one in kept) > 300


@pytest.mark.parametrize("field", ["checkpoint", "signature"])
def test_a_changed_byte_of_the_devices_word_is_found_in_its_piece(kept, verify, field):
    for number, piece in enumerate(kept):
        for place, changed in flips(getattr(piece, field)):
            spoilt = replace(piece, **{field: changed})
            result, problem = verify([*kept[:number], spoilt, *kept[number + 1 :]])
            assert not result.is_complete
            assert problem == f"piece {number}: its checkpoint is not signed by the device", place


def test_a_cut_tail_is_found_however_little_it_is(kept, verify):
    for number, piece in enumerate(kept):
        result, problem = verify(kept[:number])
        assert (problem, result.is_complete) == ("its end is missing", False)
        for left in range(len(piece.data)):
            cut = replace(piece, data=piece.data[:left])
            # The tail alone, and what follows the cut left in its place.
            for rest in ([], kept[number + 1 :]):
                result, problem = verify([*kept[:number], cut, *rest])
                assert (problem != "", result.is_complete) == (True, False), (number, left)


def test_a_byte_more_is_found_wherever_it_is(kept, verify):
    for number, piece in enumerate(kept):
        for place in range(len(piece.data) + 1):
            for more in (b"\n", b" "):
                data = piece.data[:place] + more + piece.data[place:]
                spoilt = [*kept[:number], replace(piece, data=data), *kept[number + 1 :]]
                assert verify(spoilt)[1], (number, place, more)


@pytest.fixture
def stored(fleet, session):
    """Return the recording's records, which are put back afterwards."""
    stolen = StolenDatabase(fleet.server.folder / "state")
    records = stolen.records["transcripts"]
    before = list(records.find({"order_id": session}).sort("number", 1))
    yield records, before
    records.delete_many({"order_id": session})
    records.insert_many(before)
    stolen.close()


@pytest.mark.parametrize("field", FIELDS)
def test_a_changed_byte_in_the_database_is_told_by_the_command(fleet, session, stored, field):
    records, before = stored
    chance = random.Random(field)
    for _ in range(SOME):
        one = chance.choice([piece for piece in before if piece[field]])
        place = chance.randrange(len(one[field]))
        changed = bytearray(one[field])
        changed[place] ^= 1 << chance.randrange(8)
        records.update_one({"_id": one["_id"]}, {"$set": {field: Binary(bytes(changed))}})
        said = fleet.alice.run("session", "verify", session, status=7)
        lines = b"".join(piece["data"] for piece in before[: one["number"]]).count(b"\n")
        line = lines + one["data"][:place].count(b"\n") + 1
        where = f"line {line} " if field == "data" else f"piece {one['number']}: "
        assert where in said, (place, said)
        records.update_one({"_id": one["_id"]}, {"$set": {field: one[field]}})
    assert "Whole and unchanged" in fleet.alice.run("session", "verify", session)


def test_a_piece_that_is_said_to_be_sealed_or_another_is_refused(fleet, session, stored):
    records, before = stored
    for change in ({"sealed": True}, {"number": 99}, {"order_id": "01M8AQTYZRRTPDFN75EE49W39F"}):
        records.update_one({"_id": before[1]["_id"]}, {"$set": change})
        done = fleet.alice.try_run("session", "verify", session)
        assert done.returncode in {6, 7}, (change, done)
        whole = {name: before[1][name] for name in change}
        records.update_one({"_id": before[1]["_id"]}, {"$set": whole})
    assert "Whole and unchanged" in fleet.alice.run("session", "verify", session)
