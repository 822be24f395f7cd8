from __future__ import annotations

import asyncio
import ipaddress
from datetime import UTC, datetime, timedelta

import pytest

from penguind.domain.token import Token, clean_cidrs
from penguind.identity.authority import Authority, Issuer
from penguind.identity.guard import Guard
from penguind.identity.identities import Identity
from penguind.identity.nonces import Nonces
from penguind.peers import peer_address, throttle_key
from penguind.throttle import Throttle
from penguindome import certs
from penguindome.errors import InvalidInput, LimitExceeded, Unauthenticated
from penguindome.names import Principal, to_uri

NOW = datetime(2026, 11, 25, tzinfo=UTC)
FLEET = "ab" * 16


def issuer(name):
    key = certs.generate_key()
    pem = certs.make_authority(
        name,
        key_pem=key,
        now=NOW - timedelta(days=1),
        lifetime=timedelta(days=730),
        path_length=0,
        client_auth_only=True,
    )
    return Issuer(pem, key)


class Records:
    """Stands for the cached records."""

    def __init__(self):
        self.found = {}
        self.promoted = []

    async def get(self, kind, name):
        return self.found.get((kind, name))

    async def promote_key(self, device_id, spki):
        self.promoted.append((device_id, spki))


async def nothing_lost(_kind, _name, _facts):
    """Say that this database was never restored."""
    return False


class Gatehouse:
    """A guard with one operator, alice."""

    def __init__(self):
        self.now = NOW
        self.records = Records()
        self.device, self.operator = issuer("device"), issuer("operator")
        self.authority = Authority(FLEET, {"device": (self.device,), "operator": (self.operator,)})
        self.guard = Guard(self.authority, self.records, lambda: self.now, nothing_lost)
        self.key = certs.generate_key()
        self.spki = certs.key_spki(self.key)
        self.issued = self.authority.issue("operator", "alice", self.spki, NOW)
        self.record()

    def record(self, **changes):
        facts = {
            "state": "active",
            "serials": (self.issued.serial,),
            "spki": self.spki,
            "pending_spki": None,
            "roles": frozenset({"viewer"}),
        }
        self.records.found["operator", "alice"] = Identity(**{**facts, **changes})

    def ask(self, *pems, version=b"TLSv1.3"):
        context = {"ssl_tls_version": [version], "x509_pem_cert": list(pems)}
        return asyncio.run(self.guard.authenticate(context, "ipv4:127.0.0.1:1"))

    def code(self, *pems, **facts):
        with pytest.raises(Unauthenticated) as caught:
            self.ask(*pems, **facts)
        return caught.value.code

    def made(self, uri, *, signer=None, **facts):
        by = signer or self.operator
        return certs.issue(
            authority_pem=by.certificate,
            authority_key_pem=by.key,
            spki=self.spki,
            uri=uri,
            client=True,
            not_before=NOW,
            not_after=NOW + timedelta(days=1),
            **facts,
        )


def test_a_caller_is_what_certificate_and_record_say():
    house = Gatehouse()
    who = house.ask(house.issued.certificate)
    assert (who.kind, who.name, who.roles) == ("operator", "alice", {"viewer"})
    assert (who.actor, who.serial) == ("operator/alice", house.issued.serial)


def test_only_tls_1_3_with_exactly_one_certificate_passes():
    house = Gatehouse()
    pem = house.issued.certificate
    assert house.code(pem, version=b"TLSv1.2") == "tls-version"
    assert house.code() == "no-certificate"
    assert house.code(pem, pem) == "no-certificate"
    assert house.code(b"junk") == "bad-certificate"
    with pytest.raises(Unauthenticated):
        asyncio.run(house.guard.authenticate({"x509_pem_cert": [pem]}, ""))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"state": "revoked"}, "revoked"),
        ({"state": "pending"}, "pending"),
        ({"serials": ("1",)}, "replaced"),
        ({"spki": b"other"}, "other-key"),
    ],
)
def test_the_record_decides_at_every_call(changes, code):
    house = Gatehouse()
    house.ask(house.issued.certificate)
    house.record(**changes)
    assert house.code(house.issued.certificate) == code


def test_dates_are_judged_by_the_servers_clock_also_for_a_known_certificate():
    house = Gatehouse()
    house.ask(house.issued.certificate)
    house.now = NOW + timedelta(days=31)
    assert house.code(house.issued.certificate) == "expired"
    house.now = NOW - timedelta(days=2)
    assert house.code(house.issued.certificate) == "not-yet-valid"


def test_the_name_must_be_one_that_its_authority_gives():
    house = Gatehouse()
    alice = to_uri(Principal("operator", FLEET, "alice"))
    other = to_uri(Principal("operator", "cd" * 16, "alice"))
    assert house.code(house.made(alice, signer=house.device)) == "bad-certificate-name"
    assert house.code(house.made(alice, signer=issuer("evil"))) == "other-authority"
    assert house.code(house.made(other)) == "bad-certificate-name"
    assert house.code(house.made("https://x/")) == "bad-certificate-name"
    assert house.code(house.made("", dns_names=["alice"])) == "bad-certificate-name"
    assert house.code(house.operator.certificate) == "other-authority"


def test_the_first_use_of_a_pending_key_promotes_it():
    house = Gatehouse()
    house.record(spki=b"old", pending_spki=house.spki)
    house.ask(house.issued.certificate)
    assert house.records.promoted == [("alice", house.spki)]


def test_an_authority_never_outlives_itself_in_a_certificate():
    house = Gatehouse()
    late = NOW + timedelta(days=725)
    issued = house.authority.issue("device", "d-aaaaaaaaaaaaaaaa", house.spki, late)
    assert issued.expires_time == house.device.expires_time
    assert len(house.authority.problems(late)) == 2


@pytest.mark.parametrize(
    ("peer", "address", "key"),
    [
        ("ipv4:10.1.2.3:55", "10.1.2.3", "10.1.2.3"),
        ("ipv6:%5B::1%5D:55", "::1", "::/64"),
        ("ipv6:[2001:db8::1]:5", "2001:db8::1", "2001:db8::/64"),
        ("ipv6:%5B::ffff:10.1.2.3%5D:55", "10.1.2.3", "10.1.2.3"),
        ("ipv6:%5Bfe80::1%25eth0%5D:5", "fe80::1", "fe80::/64"),
        ("unix:", None, "unknown"),
        ("ipv4:nonsense", None, "unknown"),
        ("", None, "unknown"),
    ],
)
def test_addresses_are_read_from_grpcs_text(peer, address, key):
    found = peer_address(peer)
    assert found == (None if address is None else ipaddress.ip_address(address))
    assert throttle_key(found) == key


def test_a_throttle_lets_a_minutes_worth_pass_and_refills():
    throttle = Throttle(10)
    for _ in range(10):
        throttle.take("a", NOW)
    throttle.take("b", NOW)
    with pytest.raises(LimitExceeded) as caught:
        throttle.take("a", NOW)
    assert 0 < caught.value.retry_after_seconds <= 8
    throttle.take("a", NOW + timedelta(seconds=6))
    with pytest.raises(LimitExceeded):
        throttle.take("a", NOW + timedelta(seconds=6))


def test_a_clock_that_goes_back_gives_nothing_away():
    throttle = Throttle(2)
    throttle.take("a", NOW)
    throttle.take("a", NOW - timedelta(hours=1))
    with pytest.raises(LimitExceeded):
        throttle.take("a", NOW - timedelta(hours=1))


def test_nonces_are_bounded_unique_and_used_once():
    nonces = Nonces()
    given = [nonces.new(NOW) for _ in range(1000)]
    assert len(set(given)) == 1000
    nonces.use(given[0], NOW + timedelta(seconds=60))
    for nonce, later in ((given[0], 0), (given[1], 61), (b"", 0)):
        with pytest.raises(Unauthenticated):
            nonces.use(nonce, NOW + timedelta(seconds=later))
    nonces.new(NOW + timedelta(minutes=5))
    assert len(nonces._given) == 1


def test_a_tokens_networks_are_real_ones():
    token = Token("", b"", 1, 0, NOW, NOW, "", cidrs=("10.0.0.0/8", "2001:db8::/32"))
    assert token.allows(ipaddress.ip_address("10.9.9.9"))
    assert token.allows(ipaddress.ip_address("2001:db8::9"))
    assert not token.allows(ipaddress.ip_address("11.0.0.1"))
    assert not token.allows(None)
    assert clean_cidrs(("10.0.0.0/8",)) == ("10.0.0.0/8",)
    assert clean_cidrs(("2001:DB8::/32", "::/0")) == ("2001:db8::/32", "::/0")
    # Peers come as IPv4, whichever socket they came through.
    assert clean_cidrs(("::ffff:10.0.0.0/104", "::ffff:1.2.3.4")) == ("10.0.0.0/8", "1.2.3.4/32")
    for bad in ("10.0.0.1/8", "x", "10.0.0.0/33", ""):
        with pytest.raises(InvalidInput):
            clean_cidrs((bad,))
