"""Which keys penguinctl takes for a device's: by approval, by proof, by comparison, or not."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from penguinctl import known_keys
from penguinctl.device_keys import OfferedKeys, Vouching, of_session, vouched_by
from penguinctl.envelopes import to_message
from penguinctl.profile import ProfileFolder
from penguindome import keys
from penguindome.errors import Forbidden, InvalidInput
from penguindome.succession import lineage, seal_succession
from penguindome.v1 import shell_pb2, succession_pb2
from tests.penguindome.signing import Fleet, gpg_home

DEVICE = "d-mw2us5ljbgsetkzr"
PAIRS = [keys.generate_key() for _ in range(6)]
SPKI = [keys.key_spki(one) for one in PAIRS]
PRINT = [keys.fingerprint(one) for one in SPKI]
EVIL = 5
TIME = 1_700_000_000_000


@pytest.fixture(scope="module")
def fleet():
    with gpg_home() as home:
        yield Fleet(home)


@pytest.fixture
def app(tmp_path, fleet):
    folder = ProfileFolder(tmp_path / "p")
    folder.create()
    return SimpleNamespace(folder=folder, profile=SimpleNamespace(fleet=fleet.id))


def link(fleet, former, following, device_id=DEVICE):
    return seal_succession(
        PAIRS[former], PAIRS[following], fleet=fleet.id, device_id=device_id, time_unix_ms=TIME
    )


def offered(fleet, present, *pairs, approval=None, proofs=()):
    proofs = (*proofs, *(link(fleet, *pair) for pair in pairs))
    held = lineage(SPKI[present], proofs, fleet=fleet.id, device_id=DEVICE)
    return OfferedKeys(fleet.id, DEVICE, SPKI[present], proofs, approval, held)


def approval(fleet, key, *names, kind="enroll", device=DEVICE):
    body = {"device_id": device, "fingerprint": PRINT[key]}
    payload = fleet.order(device, kind=kind, body=body)
    return fleet.sign(kind, payload, *(names or ("alice",)))


CHAIN = [(0, 1), (1, 2), (2, 3)]


def forged(fleet):
    """Return a proof that the key 3 is followed by the evil one, without the former's signature."""
    made = link(fleet, 3, EVIL)
    return replace(made, former_signature=keys.sign(PAIRS[EVIL], made.payload))


def vouching(fleet, one):
    return vouched_by(one, fleet.document("alice", "bob"))


def test_an_approval_holds_for_the_keys_that_follow(fleet):
    signed = approval(fleet, 0)
    for present in range(4):
        found = vouching(fleet, offered(fleet, present, *CHAIN, approval=signed))
        assert found == Vouching(("alice",), present)
    found = vouching(fleet, offered(fleet, 3, *CHAIN, approval=approval(fleet, 2)))
    assert (found.renewals, found.is_certain) == (1, True)


@pytest.mark.parametrize("missing", range(3))
def test_a_missing_link_leaves_only_the_servers_word(fleet, missing):
    pairs = CHAIN[:missing] + CHAIN[missing + 1 :]
    found = vouching(fleet, offered(fleet, 3, *pairs, approval=approval(fleet, 0)))
    assert found == Vouching(("alice",), None)


def test_a_forged_link_leaves_only_the_servers_word(fleet):
    signed = approval(fleet, 0)
    one = offered(fleet, EVIL, *CHAIN, proofs=[forged(fleet)], approval=signed)
    assert not vouching(fleet, one).is_certain
    # An approval of a later key says nothing of those before it.
    assert not vouching(fleet, offered(fleet, 1, *CHAIN, approval=approval(fleet, 2))).is_certain


@pytest.mark.parametrize(
    "wrong", [{"kind": "shell"}, {"device": "d-" + "a" * 16}], ids=["kind", "device"]
)
def test_what_was_signed_for_something_else_is_no_approval(fleet, wrong):
    one = offered(fleet, 0, approval=approval(fleet, 0, **wrong))
    assert vouching(fleet, one) == Vouching()
    assert vouching(fleet, offered(fleet, 0, approval=approval(fleet, 0, "mallory"))) == Vouching()


def meet(app, one, whose, capsys, **accepted):
    known_keys.meet(app, "web-1", one, whose, **accepted)
    return capsys.readouterr().err


def test_it_is_said_once_for_each_key(app, fleet, capsys):
    first = offered(fleet, 0)
    assert meet(app, first, Vouching(("alice",), 0), capsys) == ""
    third = offered(fleet, 2, *CHAIN)
    said = meet(app, third, Vouching(("alice",), 2), capsys)
    assert said == (
        "The key of web-1: approved by alice, renewed 2 times since, as its keys prove.\n"
    )
    assert meet(app, third, Vouching(("alice",), 2), capsys) == ""


def test_a_device_without_proofs_is_told_of_in_plain_words(app, fleet, capsys):
    one = offered(fleet, 1)
    said = meet(app, one, Vouching(("alice",)), capsys)
    assert "Only the server says that this is web-1: alice approved an earlier key" in said
    assert PRINT[1] in said
    assert meet(app, one, Vouching(("alice",)), capsys) == ""
    # Its next key is proven by that one: no more than before is asked of anybody.
    said = meet(app, offered(fleet, 2, (1, 2)), Vouching(("alice",)), capsys)
    assert said == "The key of web-1 was renewed; the one of your last session signed for it.\n"
    # One that nothing was certain of may change; it is said.
    said = meet(app, offered(fleet, 4), Vouching(), capsys)
    assert "nothing proves that it follows that one" in said
    assert "no operator approved its key" in said


@pytest.mark.parametrize("how", ["alone", "forged", "fork"])
def test_a_certain_key_is_given_up_for_none_that_nobody_proves(app, fleet, capsys, how):
    signed = approval(fleet, 0)
    honest = offered(fleet, 3, *CHAIN, approval=signed)
    meet(app, honest, vouching(fleet, honest), capsys)
    # A fork begins at a key that the device gave up, and that somebody else has by now.
    pairs = [*CHAIN, (1, EVIL)] if how == "fork" else CHAIN
    proofs = [forged(fleet)] if how == "forged" else []
    evil = offered(fleet, EVIL, *pairs, proofs=proofs, approval=signed)
    whose = vouching(fleet, evil)
    assert whose.is_certain == (how == "fork")
    with pytest.raises(Forbidden) as caught:
        meet(app, evil, whose, capsys)
    assert caught.value.code == "key-unproven"
    assert f"--accept-key {PRINT[EVIL]}" in caught.value.remedy
    # It counts for nothing anywhere else either, and is not remembered.
    assert [one.spki for one in known_keys.trusted(app, evil, whose)] == SPKI[:4]
    assert known_keys.recall(app, DEVICE).fingerprint == PRINT[3]
    assert meet(app, honest, vouching(fleet, honest), capsys) == ""


def test_a_key_that_was_compared_is_taken_and_no_other(app, fleet, capsys):
    meet(app, offered(fleet, 0), Vouching(("alice",), 0), capsys)
    other = offered(fleet, 4)
    with pytest.raises(InvalidInput):
        meet(app, other, Vouching(), capsys, accepted=PRINT[3])
    assert meet(app, other, Vouching(), capsys, accepted=PRINT[4].upper()) == ""
    assert known_keys.recall(app, DEVICE) == known_keys.Known(PRINT[4], SPKI[4], is_certain=True)
    # It is certain from now on, and so are those that follow it.
    meet(app, offered(fleet, 3, (4, 3)), Vouching(), capsys)
    assert known_keys.recall(app, DEVICE).is_certain
    with pytest.raises(Forbidden):
        meet(app, offered(fleet, EVIL), Vouching(), capsys)


def test_a_fresh_approval_of_the_very_key_suffices(app, fleet, capsys):
    meet(app, offered(fleet, 0), Vouching(("alice",), 0), capsys)
    said = meet(app, offered(fleet, 4), Vouching(("bob",), 0), capsys)
    assert "is another than at your last session there" in said
    assert known_keys.recall(app, DEVICE).is_certain


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", f'{{"{DEVICE}": 7}}', f'{{"{DEVICE}": {{"key": "#", "certain": true}}}}'],
)
def test_a_damaged_file_means_that_nothing_is_known(app, fleet, capsys, text):
    app.folder.write(known_keys.FILE, text.encode())
    assert known_keys.recall(app, DEVICE) is None
    meet(app, offered(fleet, 0), Vouching(("alice",), 0), capsys)
    assert known_keys.recall(app, DEVICE).is_certain


def test_what_a_penguinctl_of_before_noted_is_no_certainty(app, fleet, capsys):
    app.folder.write(known_keys.FILE, json.dumps({DEVICE: PRINT[0], "d-other": "x"}).encode())
    assert known_keys.recall(app, DEVICE) == known_keys.Known(PRINT[0])
    assert "Only the server says" in meet(app, offered(fleet, 3), Vouching(), capsys)
    assert json.loads(app.folder.read(known_keys.FILE))["d-other"] == "x"


def test_another_devices_session_proves_nothing_of_this_one(app, fleet):
    # Whoever has another device, and the server, could have it answer in the place of this one.
    other = "d-" + "a" * 16
    signed = approval(fleet, 1, device=other)
    made = link(fleet, 1, EVIL, other)
    response = shell_pb2.GetSessionResponse(
        session=shell_pb2.Session(device_id=other),
        device_key=SPKI[EVIL],
        approval=to_message(signed),
        successions=[
            succession_pb2.KeySuccession(
                payload=made.payload,
                former_signature=made.former_signature,
                following_signature=made.following_signature,
            )
        ],
    )
    assert vouching(fleet, of_session(app, response, other)).renewals == 1
    assert vouching(fleet, of_session(app, response, DEVICE)) == Vouching()
