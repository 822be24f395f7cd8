"""Authorities that follow each other: their files, who is accepted, and when they may go."""

from __future__ import annotations

import shutil
import ssl
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest

from penguind.chain import verify_by_any, verify_chain
from penguind.identity import rotation
from penguind.identity.authority import load_anchors, load_authority
from penguind.identity.authority_files import generations, newest
from penguind.identity.server_certificate import (
    read_anchor_key,
    renew_server_certificates,
    rewrite_chains,
)
from penguind.setup.file import Answers
from penguind.setup.steps import make_server
from penguindome import certs
from penguindome.errors import InvalidInput, NotFound, PreconditionFailed
from penguindome.times import utc_now

DEVICE = "d-aaaaaaaaaaaaaaaa"
HOST = "127.0.0.1"


class State:
    """The state folder of a server that was set up a moment ago."""

    def __init__(self, folder):
        answers = Answers(state_dir=folder / "state", user="nobody", advertised_host=HOST)
        settings = make_server(folder / "p.toml", answers, utc_now, lambda _: None)
        self.path, self.fleet = settings.server.state_dir, settings.server.fleet_id
        self.pairs = [(settings.listen.certificate, settings.listen.key)]
        self.now = utc_now()

    def rotate(self, kind):
        key, pem = rotation.next_authority(self.path, self.fleet, kind, self.now)
        cross = b""
        if kind == "anchor":
            cross = rotation.cross_certificate(self.path, pem, self.now)
        made = rotation.install(self.path, kind, key, pem, cross)
        if kind == "anchor":
            renew_server_certificates(self.path, self.pairs, self.now, key, due=False)
        return made

    def accepted_by(self, anchor):
        try:
            verify_chain(*self.pairs[0], anchor, HOST)
        except PreconditionFailed:
            return False
        return True


@pytest.fixture
def state():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    yield State(folder)
    shutil.rmtree(folder)


def spki():
    return certs.key_spki(certs.generate_key())


@pytest.mark.parametrize("kind", ["device", "operator"])
def test_the_newest_issues_and_the_former_one_is_accepted(state, kind):
    authority = load_authority(state.path, state.fleet)
    before = authority.issue(kind, DEVICE, spki(), state.now).certificate
    state.rotate(kind)
    authority.refresh()
    after = authority.issue(kind, DEVICE, spki(), state.now).certificate
    assert [authority.signer(one) for one in (before, after)] == [kind, kind]
    first = generations(state.path, kind)[1]
    assert certs.signed_by(before, first.certificate)
    assert not certs.signed_by(after, first.certificate)
    assert not first.key_path.exists()
    assert first.certificate in authority.client_roots
    assert authority.revision == 1
    authority.refresh()
    assert authority.revision == 1


@pytest.mark.parametrize(("kind", "days"), [("device", 15), ("operator", 31), ("anchor", 400)])
def test_one_is_retired_only_after_what_depends_on_it(state, kind, days):
    old = newest(state.path, kind)
    with pytest.raises(PreconditionFailed, match="rotate"):
        rotation.check_retirable(state.path, old, state.now, force=True)
    state.rotate(kind)
    end = rotation.needed_until(state.path, old)
    assert abs(end - state.now - timedelta(days=days)) < timedelta(minutes=1)
    with pytest.raises(PreconditionFailed, match=f"until {end:%Y-%m-%d}"):
        rotation.check_retirable(state.path, old, end - timedelta(seconds=1), force=False)
    rotation.check_retirable(state.path, old, end, force=False)
    rotation.check_retirable(state.path, old, state.now, force=True)
    rotation.retire(state.path, old)
    assert [one.number for one in generations(state.path, kind)] == [2]


def test_what_a_retired_authority_signed_is_nobodys(state):
    authority = load_authority(state.path, state.fleet)
    before = authority.issue("device", DEVICE, spki(), state.now).certificate
    state.rotate("device")
    rotation.retire(state.path, generations(state.path, "device")[1])
    authority.refresh()
    assert authority.signer(before) is None


def test_former_issuers_that_ended_drop_out(state):
    state.rotate("device")
    later = state.now + rotation.CA_LIFETIME
    assert [one.number for one in rotation.tidy(state.path, later)] == [1]
    assert [one.number for one in generations(state.path, "device")] == [2]
    assert rotation.tidy(state.path, later + timedelta(days=1)) == []


def test_who_knows_any_of_three_anchors_accepts_the_server(state):
    first = load_anchors(state.path)[0].certificate
    second = state.rotate("anchor").certificate
    third = state.rotate("anchor").certificate
    assert [one.certificate for one in load_anchors(state.path)] == [third, second, first]
    assert [state.accepted_by(one) for one in (first, second, third)] == [True] * 3
    subjects = {certs.parse_certificate(one).subject for one in (first, second, third)}
    assert len(subjects) == 3


def test_only_the_oldest_anchor_is_retired_and_the_chain_is_shorter(state):
    first = newest(state.path, "anchor")
    second = state.rotate("anchor")
    state.rotate("anchor")
    with pytest.raises(PreconditionFailed, match="older anchor"):
        rotation.check_retirable(state.path, second, state.now, force=True)
    rotation.retire(state.path, first)
    rewrite_chains(state.path, state.pairs)
    assert state.pairs[0][0].read_bytes().count(b"BEGIN") == 2
    assert not state.accepted_by(first.certificate)
    assert state.accepted_by(second.certificate)


def test_another_authority_of_the_same_name_is_not_believed(state):
    first = newest(state.path, "anchor")
    name = first.facts.subject.removeprefix("CN=")
    twin = certs.make_authority(
        name,
        key_pem=certs.generate_key(),
        now=state.now - timedelta(days=1),
        lifetime=timedelta(days=10),
        path_length=None,
        client_auth_only=False,
    )
    state.rotate("anchor")
    assert not state.accepted_by(twin)


def test_a_rotation_that_was_cut_off_leaves_the_former_certificate_in_use(state):
    """The new anchor counts, and the server's certificate is still the former one's."""
    before = state.pairs[0][0].read_bytes()
    state.rotate("anchor")
    state.pairs[0][0].write_bytes(before)
    verify_by_any(*state.pairs[0], state.path, HOST)


def test_a_key_left_by_a_rotation_that_was_cut_off_is_replaced(state):
    stray = state.path / "authority/device-ca-2-key.pem"
    stray.write_bytes(certs.generate_key())
    stray.chmod(0o400)
    made = state.rotate("device")
    assert certs.key_spki(made.key_path.read_bytes()) == made.facts.spki


def test_the_servers_certificate_is_renewed_when_it_is_due_for_the_same_key(state):
    path, key = state.pairs[0]
    before, names = key.read_bytes(), certs.parse_certificate(path.read_bytes()).ip_addresses
    anchor_key = read_anchor_key(state.path)
    soon = state.now + timedelta(days=366)
    assert renew_server_certificates(state.path, state.pairs, soon, anchor_key) == []
    due = state.now + timedelta(days=368)
    assert renew_server_certificates(state.path, state.pairs, due, anchor_key) == [path]
    facts = certs.parse_certificate(path.read_bytes())
    assert facts.not_after - due > timedelta(days=396)
    assert (facts.ip_addresses, key.read_bytes()) == (names, before)


def test_another_key_than_the_anchors_is_refused(state):
    with pytest.raises(PreconditionFailed, match="not the newest anchor's"):
        read_anchor_key(state.path, certs.generate_key())
    newest(state.path, "anchor").key_path.unlink()
    with pytest.raises(PreconditionFailed, match="not on this machine"):
        read_anchor_key(state.path)


def test_authorities_are_found_by_how_their_fingerprints_begin(state):
    one = newest(state.path, "device")
    assert rotation.find(state.path, "device", one.fingerprint[:8].upper()) == one
    with pytest.raises(InvalidInput):
        rotation.find(state.path, "device", one.fingerprint[:7])
    with pytest.raises(NotFound):
        rotation.find(state.path, "operator", one.fingerprint)


def test_files_that_cannot_be_read_keep_the_former_set(state):
    authority = load_authority(state.path, state.fleet)
    roots = authority.client_roots
    made = state.rotate("device")
    made.key_path.unlink()
    authority.refresh()
    assert authority.client_roots == roots
    assert "cannot be read" in authority.problems(state.now)[0]


def test_an_anchor_is_one_that_openssl_takes(state):
    state.rotate("anchor")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for one in load_anchors(state.path):
        context.load_verify_locations(cadata=one.certificate.decode())
    assert context.cert_store_stats()["x509_ca"] == 2
