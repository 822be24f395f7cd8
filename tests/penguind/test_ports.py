"""Changing listeners in the settings file."""

from __future__ import annotations

import os
import shutil
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import mkdtemp

import pytest

from penguind import ports
from penguind.config import load_settings
from penguind.ports import Change
from penguind.setup.file import Answers
from penguind.setup.steps import make_server
from penguindome import certs
from penguindome.errors import AlreadyExists, InvalidInput, NotFound, PreconditionFailed

NOBODY = 65534


def clock():
    return datetime.now(UTC)


class Place:
    """A server that is set up and does not run."""

    def __init__(self, folder):
        self.folder, self.config = folder, folder / "penguind.toml"
        self.state = folder / "state"
        answers = Answers(self.state, "nobody", "127.0.0.1", "127.0.0.1", 20001, 20002)
        make_server(self.config, answers, clock, lambda _: None)

    def add(self, name="new", kind="main", **change):
        return ports.add(self.config, name, kind, Change(**{"port": 20003, **change}), clock)

    def change(self, name, **change):
        return ports.configure(self.config, name, Change(**change), clock)

    def listener(self, name):
        return next(one for one in load_settings(self.config).listeners if one.name == name)

    def warnings(self):
        return ports.warnings(load_settings(self.config), clock)

    def own(self, *, authority=None, names=("127.0.0.1",), days=30, other_key=False):
        """Write a certificate by the fleet's anchor or another authority; return both paths."""
        folder = self.state / "authority"
        anchor = (folder / "anchor.pem").read_bytes(), (folder / "anchor-key.pem").read_bytes()
        pem, authority_key = authority or anchor
        key, start = certs.generate_key(), clock() - timedelta(days=60)
        chain = certs.issue(
            authority_pem=pem,
            authority_key_pem=authority_key,
            spki=certs.key_spki(key),
            ip_addresses=names,
            client=False,
            not_before=start,
            not_after=clock() + timedelta(days=days),
        )
        paths = self.folder / "own.pem", self.folder / "own-key.pem"
        paths[0].write_bytes(chain)
        paths[1].write_bytes(certs.generate_key() if other_key else key)
        paths[1].chmod(0o600)
        if os.geteuid() == 0:
            os.chown(paths[1], NOBODY, NOBODY)
        return {"certificate": paths[0], "key": paths[1]}


@pytest.fixture
def place():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    folder.chmod(0o711)
    yield Place(folder)
    shutil.rmtree(folder)


def test_comments_and_layout_stay(place):
    text = place.config.read_text().replace(
        "main_port = 20001\n", "main_port = 20001   # devices\n\n"
    )
    place.config.write_text(text)
    place.add()
    place.change("main", deprecated=True)
    place.change("main", deprecated=False)
    found = place.config.read_text()
    added = '[listeners.new]\nkind = "main"\nport = 20003\n'
    assert added in found
    rest = found.replace(added, "").replace("main_deprecated = false\n", "")
    assert rest.split() == text.split()
    assert "main_port = 20001   # devices\n" in found


def test_what_was_added_and_removed_leaves_nothing(place):
    before = place.config.read_text()
    place.add(address="127.0.0.2", advertised_port=443, deprecated=True)
    ports.remove(place.config, "new")
    assert place.config.read_text().rstrip() == before.rstrip()


def test_owner_and_mode_stay_and_a_link_stays_a_link(place):
    real = place.folder / "real.toml"
    place.config.rename(real)
    place.config.symlink_to(real)
    real.chmod(0o644)
    before = real.stat()
    place.add()
    after = real.stat()
    assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)
    assert stat.S_IMODE(after.st_mode) == 0o644
    assert place.config.is_symlink()
    assert sorted(one.name for one in place.folder.iterdir()) == [
        "penguind.toml",
        "real.toml",
        "state",
    ]


def test_what_would_be_no_settings_leaves_the_file_as_it_was(place):
    before = place.config.read_bytes()
    with pytest.raises(InvalidInput, match="bootstrap and new both use port 20002") as caught:
        place.add(port=20002)
    assert ".new" not in caught.value.text()
    assert place.config.read_bytes() == before
    assert len(list(place.folder.iterdir())) == 2


@pytest.mark.parametrize("name", ["main", "server", "Ä", "a-key", ""])
def test_a_name_that_is_none_is_refused(place, name):
    with pytest.raises(InvalidInput, match="no name"):
        place.add(name)


@pytest.mark.parametrize("host", ["a b", "host:443", "[::1]", "ä.example"])
def test_a_host_that_nobody_can_dial_is_refused(place, host):
    for change in ({"advertised_host": host}, {"names": [host], "generate": True}):
        with pytest.raises(InvalidInput, match="can dial"):
            place.change("main", **change)


def test_names_are_taken_once_and_have_to_be_known(place):
    place.add()
    with pytest.raises(AlreadyExists, match="such a listener"):
        place.add()
    for act in (place.change, lambda name: ports.remove(place.config, name)):
        with pytest.raises(NotFound) as caught:
            act("old")
        assert "main, bootstrap, new" in caught.value.remedy


def test_the_last_of_a_kind_stays(place):
    place.add("boot", "bootstrap")
    ports.remove(place.config, "bootstrap")
    assert load_settings(place.config).listen.bootstrap_port == 0
    for name in ("main", "boot"):
        with pytest.raises(PreconditionFailed, match="last"):
            ports.remove(place.config, name)
    place.change("bootstrap", port=20009)
    assert place.listener("bootstrap").port == 20009
    ports.remove(place.config, "boot")


def test_a_generated_certificate_is_the_services_and_names_what_it_is_dialled_by(place):
    settings = place.add(advertised_host="new.example", generate=True, names=["::1", "alias"])
    new = place.listener("new")
    assert new.certificate == settings.server.state_dir / "tls/new.pem"
    facts = certs.parse_certificate(new.certificate.read_bytes())
    assert set(facts.dns_names) == {"new.example", "alias"}
    assert facts.ip_addresses == ("::1",)
    owner = new.key.stat()
    assert stat.S_IMODE(owner.st_mode) == 0o600
    assert owner.st_uid == (NOBODY if os.geteuid() == 0 else os.geteuid())
    assert place.warnings() == []


def test_names_stay_when_a_certificate_is_made_anew_without_any(place):
    place.add(generate=True, names=["alias"])
    first = place.listener("new").certificate.read_bytes()
    place.change("new", generate=True, advertised_host="other.example")
    second = certs.parse_certificate(place.listener("new").certificate.read_bytes())
    assert set(second.dns_names) == {"other.example", "alias"}
    assert second.serial != certs.parse_certificate(first).serial
    place.change("new", generate=True, names=["third"])
    third = certs.parse_certificate(place.listener("new").certificate.read_bytes())
    assert set(third.dns_names) == {"other.example", "third"}


def test_the_first_pairs_certificate_covers_all_that_share_it(place):
    place.add(advertised_host="new.example")
    assert "new is not usable" in place.warnings()[0]
    place.change("main", generate=True)
    facts = certs.parse_certificate(place.listener("new").certificate.read_bytes())
    assert set(facts.dns_names) == {"new.example"}
    assert facts.ip_addresses == ("127.0.0.1",)
    assert place.warnings() == []


def test_without_the_anchors_key_nothing_is_generated_unless_it_is_given(place):
    path = place.state / "authority/anchor-key.pem"
    key = path.read_bytes()
    path.unlink()
    with pytest.raises(PreconditionFailed, match="not on this machine") as caught:
        place.add(generate=True)
    assert "--anchor-key" in caught.value.remedy
    assert not (place.state / "tls/new.pem").exists()
    assert "new" not in place.config.read_text().partition("[listeners")[2]
    place.add(generate=True, anchor_key=key)
    assert place.warnings() == []


def test_a_certificate_of_ones_own_is_checked_as_devices_would(place):
    place.add()
    place.change("new", **place.own())
    assert place.listener("new").certificate == place.folder / "own.pem"
    assert place.warnings() == []
    place.change("main", **place.own())
    assert load_settings(place.config).listen.certificate == place.folder / "own.pem"
    place.change("main", generate=True)
    assert load_settings(place.config).listen.certificate == place.state / "tls/server.pem"


def stranger():
    key = certs.generate_key()
    pem = certs.make_authority(
        "stranger",
        key_pem=key,
        now=clock() - timedelta(days=100),
        lifetime=timedelta(days=900),
        path_length=None,
        client_auth_only=False,
    )
    return pem, key


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"other_key": True}, "key does not belong"),
        ({"days": -1}, "ended on"),
        ({"names": ("127.0.0.9",)}, "devices would not accept"),
        ({"authority": "stranger"}, "devices would not accept"),
    ],
)
def test_a_certificate_that_devices_would_refuse_is_refused(place, facts, said):
    if "authority" in facts:
        facts = {"authority": stranger()}
    before = place.config.read_bytes()
    with pytest.raises(PreconditionFailed, match=said):
        place.add(**place.own(**facts))
    assert place.config.read_bytes() == before


def test_a_key_that_others_can_read_is_refused(place):
    own = place.own()
    own["key"].chmod(0o644)
    with pytest.raises(PreconditionFailed, match="lets others in"):
        place.add(**own)


def test_everything_is_described_also_what_is_missing_or_not_usable(place):
    place.add(generate=True)
    place.listener("new").key.unlink()
    place.add("odd", port=20004, generate=True)
    place.listener("odd").certificate.write_text("x")
    main, boot, new, odd = ports.describe(load_settings(place.config), clock)
    assert (main.names, main.missing, main.problem) == (("127.0.0.1",), False, "")
    assert boot.ends_time == main.ends_time > clock() + timedelta(days=300)
    assert (new.missing, new.problem != "") == (True, True)
    assert (odd.missing, odd.names, odd.ends_time) == (False, (), None)
    assert odd.problem


def test_what_new_devices_would_stumble_over_is_warned_of(place):
    place.change("main", deprecated=True)
    assert place.warnings() == [
        "New devices are told to dial 127.0.0.1:20001 (main), which is deprecated."
    ]
    place.add(advertised_host="new.example", generate=True)
    (sentence,) = place.warnings()
    assert "new.example:20002 (bootstrap)" in sentence
    place.change("main", deprecated=False)
    assert place.warnings() == []
    place.change("main", advertised_host="other.example")
    assert all("not usable" in one for one in place.warnings())
