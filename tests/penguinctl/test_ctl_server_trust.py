"""Which anchors and addresses of the server an operator may sign in."""

import contextlib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinctl.exits import NotVerified
from penguinctl.server_trust import (
    Offered,
    check_compared,
    fingerprint,
    parse_place,
    proven,
    written,
)
from penguindome import certs
from penguindome.errors import InvalidInput, PreconditionFailed
from penguindome.times import utc_now
from penguindome.trust import ServerAddress

NOW = utc_now()


class Anchor:
    """An authority; one that follows another one is vouched for by it."""

    def __init__(self, name):
        self.key = certs.generate_key()
        self.pem = certs.make_authority(
            name,
            key_pem=self.key,
            now=NOW,
            lifetime=timedelta(days=100),
            path_length=None,
            client_auth_only=False,
        )
        self.der = certs.pem_to_der(self.pem)

    def cross(self, other):
        """Return what this one signs about another one."""
        pem = certs.cross_sign(
            other.pem,
            authority_pem=self.pem,
            authority_key_pem=self.key,
            not_before=NOW,
            not_after=NOW + timedelta(days=50),
        )
        return certs.pem_to_der(pem)


FIRST, SECOND, THIRD, EVIL = (Anchor(name) for name in ("1", "2", "3", "evil"))
CHAIN = [
    Offered(THIRD.der, SECOND.cross(THIRD)),
    Offered(SECOND.der, FIRST.cross(SECOND)),
    Offered(FIRST.der, b""),
]


@pytest.mark.parametrize(
    ("pinned", "new"),
    [
        ([FIRST.der], [THIRD.der, SECOND.der]),
        ([SECOND.der, FIRST.der], [THIRD.der]),
        ([THIRD.der, SECOND.der, FIRST.der], []),
    ],
)
def test_each_anchor_vouches_for_the_next(pinned, new):
    assert proven(pinned, CHAIN) == new


TWIN = Anchor("1")
FORGED = {
    "nobody vouches": Offered(EVIL.der, b""),
    "it vouches for itself": Offered(EVIL.der, EVIL.cross(EVIL)),
    "another of the same name vouches": Offered(EVIL.der, TWIN.cross(EVIL)),
    "the voucher is for another one": Offered(EVIL.der, FIRST.cross(SECOND)),
    "the voucher is the pinned one": Offered(EVIL.der, FIRST.der),
    "garbage vouches": Offered(EVIL.der, b"garbage"),
    "it is garbage": Offered(b"garbage", FIRST.cross(SECOND)),
}


@pytest.mark.parametrize("how", FORGED)
def test_a_server_cannot_slip_an_anchor_in(how):
    with pytest.raises(NotVerified):
        proven([FIRST.der], [FORGED[how], Offered(FIRST.der, b"")])


def test_what_was_not_compared_is_not_signed():
    start = fingerprint(SECOND.der)[:8]
    check_compared([SECOND.der], [start.upper()])
    for given_words in ([], [start[:7]], [fingerprint(THIRD.der)]):
        with pytest.raises(PreconditionFailed):
            check_compared([SECOND.der], given_words)


@pytest.mark.parametrize(
    "text", ["", "h", "h:1", "h:0,2", "h:1,70000", "::1:1,2", "[h]:1,2", "h h:1,2"]
)
def test_what_is_no_address(text):
    with pytest.raises(InvalidInput):
        parse_place(text)


@given(
    st.sampled_from(["h.example", "10.0.0.1", "::1"]), st.integers(1, 65535), st.integers(1, 65535)
)
def test_addresses_are_read_as_they_are_written(host, main, bootstrap):
    address = ServerAddress(host, main, bootstrap)
    assert parse_place(written(address)) == address


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_refused(text):
    with contextlib.suppress(InvalidInput):
        assert parse_place(written(parse_place(text))) == parse_place(text)
