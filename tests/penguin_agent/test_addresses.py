"""Where an agent looks for its server, and when it moves."""

from dataclasses import replace

import pytest

from penguin_agent.addresses import Addresses
from penguin_agent.identity import Device
from penguin_agent.moving import AGAIN_SECONDS, Moving
from penguin_agent.trust_store import TrustStore
from penguin_agent.trust_update import most_telling
from penguindome.errors import Unauthenticated, Unavailable
from penguindome.trust_document import ServerAddress, from_payload, to_payload
from tests.penguindome.signing import Fleet, gpg_home

OWN, NEW, OTHER = (ServerAddress(host, 7443, 7444) for host in ("own", "new.example", "::1"))


@pytest.fixture(scope="module")
def fleet():
    with gpg_home() as home:
        yield Fleet(home)


@pytest.fixture
def store(tmp_path):
    return TrustStore(tmp_path / "trust")


def device(fleet):
    facts = {"device_id": "d", "fleet": fleet.id, "host": OWN.host, "main_port": 7443}
    facts |= {"bootstrap_port": 7444, "anchor": "", "trust_hash": ""}
    return Device(**facts)


def sign(store, fleet, *addresses, version=1):
    document = fleet.document("alice", version=version, server_addresses=addresses)
    store.keep([fleet.publish(document, "alice")])


def test_the_documents_order_comes_before_the_tokens_own(fleet, store):
    addresses = Addresses(store)
    assert addresses.candidates(device(fleet)) == [OWN]
    sign(store, fleet, NEW, OTHER)
    assert addresses.candidates(device(fleet)) == [NEW, OTHER, OWN]


def test_what_worked_last_comes_first_also_after_a_restart(fleet, store):
    sign(store, fleet, NEW, OTHER)
    Addresses(store).worked(OTHER)
    assert Addresses(store).candidates(device(fleet)) == [OTHER, NEW, OWN]
    assert Addresses(store).in_use(device(fleet)) == "::1:7443"


def test_what_is_signed_no_more_is_tried_no_more(fleet, store):
    sign(store, fleet, NEW)
    addresses = Addresses(store)
    addresses.worked(NEW)
    sign(store, fleet, OTHER, version=2)
    assert addresses.candidates(device(fleet)) == [OTHER, OWN]


@pytest.mark.parametrize(
    "text", ["", "{}", "[1]", '{"host": 1}', '{"host": "evil", "main_port": 1']
)
def test_a_file_that_was_changed_leads_nowhere(fleet, store, text):
    store.address_path.write_text(text)
    assert Addresses(store).candidates(device(fleet)) == [OWN]


def test_another_fleets_document_names_nothing(fleet, store):
    sign(store, fleet, NEW)
    assert Addresses(store).candidates(replace(device(fleet), fleet="0" * 32)) == [OWN]


def test_documents_with_and_without_addresses_are_read_back(fleet):
    without = fleet.document("alice")
    assert b"server_addresses" not in to_payload(without)
    named = fleet.document("alice", server_addresses=(NEW, OTHER))
    assert from_payload(to_payload(named)) == named
    assert from_payload(to_payload(without)) == without


class Clock:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def moving(clock):
    return Moving(lambda least, _most: least, clock)


def test_nothing_moves_without_a_reason(moving):
    moving.stay(OWN, [NEW, OWN], deprecated=False)
    assert not moving.is_time()
    assert moving.seconds() == float("inf")


def test_a_deprecated_address_is_left_soon_and_tried_last(moving, clock):
    moving.stay(OWN, [OWN, NEW], deprecated=True)
    assert 0 < moving.seconds() <= 60
    assert not moving.is_time()
    clock.seconds += 60
    moving.stay(OWN, [OWN, NEW], deprecated=True)
    assert moving.is_time()
    assert moving.ordered([OWN, NEW]) == [NEW, OWN]


def test_who_comes_back_stays_for_an_hour(moving, clock):
    moving.stay(OWN, [OWN, NEW], deprecated=True)
    moving.ordered([OWN, NEW])
    moving.stay(OWN, [OWN, NEW], deprecated=True)
    assert moving.seconds() == AGAIN_SECONDS
    clock.seconds += AGAIN_SECONDS
    assert moving.is_time()


def test_nobody_moves_between_addresses_that_both_go_away(moving):
    for each in (OWN, NEW):
        moving.stay(each, [OWN, NEW], deprecated=True)
    assert moving.seconds() == float("inf")


def test_an_address_that_is_signed_no_more_is_left(moving):
    moving.stay(OTHER, [OWN, NEW], deprecated=False)
    assert moving.seconds() <= 60


def test_what_a_server_said_is_told_before_what_cannot_be_reached():
    away, said = Unavailable("away"), Unauthenticated("ended")
    assert most_telling([away, said]) is said
    assert most_telling([away]) is away
