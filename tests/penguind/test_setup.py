from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import stat
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp

import click
import pytest
from click.testing import CliRunner

from penguind import chain
from penguind.config import load_settings
from penguind.console import console_database
from penguind.identity.authority import load_anchor, load_authority
from penguind.setup.file import Answers
from penguind.setup.questions import ask
from penguind.setup.steps import invite_first, make_server
from penguindome import certs
from penguindome.errors import InvalidInput, PreconditionFailed
from penguindome.times import utc_now
from penguindome.tokens import decode_invitation
from tests.harness.server import Server


@pytest.fixture
def folder():
    path = Path(mkdtemp(prefix="pd", dir="/tmp"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


def answers(folder, **changes):
    return Answers(
        state_dir=folder / "state", user="nobody", advertised_host="h.example", **changes
    )


def make(folder, clock=utc_now, **changes):
    said = []
    settings = make_server(folder / "p.toml", answers(folder, **changes), clock, said.append)
    return settings, said


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_authorities_that_end_soon_are_renewed_with_their_keys(folder):
    settings, _ = make(folder)
    now, state = utc_now(), settings.server.state_dir
    before = load_authority(state, settings.server.fleet_id)
    anchor = load_anchor(state)
    later = now + timedelta(days=700)
    issued = before.issue(
        "device", "d-aaaaaaaaaaaaaaaa", certs.key_spki(certs.generate_key()), later
    )
    assert len(before.problems(later)) == 2
    make(folder, lambda: later)
    after = load_authority(state, settings.server.fleet_id)
    assert after.problems(later) == []
    assert after.signer(issued.certificate) == "device"
    assert load_anchor(state) == anchor


def test_setup_makes_three_separate_authorities_with_their_lifetimes(folder):
    make(folder, server_names=("10.0.0.1",))
    authority = folder / "state/authority"
    found = {
        name: certs.parse_certificate((authority / f"{name}.pem").read_bytes())
        for name in ("anchor", "device-ca", "operator-ca")
    }
    assert len({facts.spki for facts in found.values()}) == 3
    years = {name: (f.not_after - f.not_before).days // 365 for name, f in found.items()}
    assert years == {"anchor": 10, "device-ca": 2, "operator-ca": 2}
    server = (folder / "state/tls/server.pem").read_bytes()
    facts = certs.parse_certificate(server)
    assert (facts.dns_names, facts.ip_addresses) == (("h.example",), ("10.0.0.1",))
    assert facts.not_after - facts.not_before <= timedelta(days=398)
    assert certs.signed_by(server, (authority / "anchor.pem").read_bytes())


def test_running_it_again_changes_nothing_and_says_so(folder):
    first, _ = make(folder)
    before = contents(folder)
    second, said = make(folder, main_port=9999)
    assert contents(folder) == before
    assert second == first
    assert sum("kept" in sentence.lower() for sentence in said) == 5


def test_a_lost_server_certificate_is_made_anew_by_the_same_anchor(folder):
    make(folder)
    before = contents(folder)
    (folder / "state/tls/server.pem").unlink()
    make(folder)
    after = contents(folder)
    changed = {path.name for path in after if after[path] != before[path]}
    assert changed == {"server.pem", "server-key.pem"}


def test_a_certificate_near_its_end_is_replaced(folder):
    make(folder)
    before = (folder / "state/tls/server.pem").read_bytes()
    make(folder, clock=lambda: utc_now() + timedelta(days=350))
    assert (folder / "state/tls/server.pem").read_bytes() != before
    (folder / "state/authority/anchor-key.pem").unlink()
    (folder / "state/tls/server.pem").unlink()
    with pytest.raises(PreconditionFailed, match="anchor's key is not on this machine"):
        make(folder)


class Own:
    """A certificate that an administrator brought."""

    def __init__(self, folder, name="h.example"):
        self.anchor_key = certs.generate_key()
        now = utc_now() - timedelta(minutes=5)
        self.anchor = certs.make_authority(
            "Corporate",
            key_pem=self.anchor_key,
            now=now,
            lifetime=timedelta(days=9),
            path_length=None,
            client_auth_only=False,
        )
        key = certs.generate_key()
        self.leaf = certs.issue(
            authority_pem=self.anchor,
            authority_key_pem=self.anchor_key,
            spki=certs.key_spki(key),
            dns_names=[name],
            client=False,
            not_before=now,
            not_after=now + timedelta(days=8),
        )
        self.certificate, self.key = folder / "own.pem", folder / "own-key.pem"
        self.certificate.write_bytes(self.leaf + self.anchor)
        self.key.write_bytes(key)
        self.key.chmod(0o600)


def test_a_certificate_of_your_own_is_taken_with_its_authority_as_anchor(folder):
    own = Own(folder)
    settings, _ = make(folder, certificate=own.certificate, key=own.key)
    assert settings.listen.certificate == own.certificate
    assert (folder / "state/authority/anchor.pem").read_bytes() == own.anchor
    assert not (folder / "state/tls").exists()


def test_a_certificate_that_devices_would_refuse_is_refused_at_once(folder):
    own = Own(folder, name="other.example")
    with pytest.raises(PreconditionFailed, match="devices would not accept"):
        make(folder, certificate=own.certificate, key=own.key)
    own = Own(folder)
    own.certificate.write_bytes(own.leaf)
    with pytest.raises(PreconditionFailed, match="authority"):
        make(folder, certificate=own.certificate, key=own.key)
    own.key.write_bytes(certs.generate_key())
    with pytest.raises(PreconditionFailed, match="does not belong"):
        make(folder, certificate=own.certificate, key=own.key)
    assert contents(folder).keys() == {own.certificate, own.key}


@pytest.mark.parametrize(
    "host", ["", "a b", "x/y", "h:\n", "h:7443", "[::1]", "fe80::1%eth0", "1::2::3"]
)
def test_a_host_that_nobody_can_dial_is_refused(folder, host):
    with pytest.raises(InvalidInput):
        make_server(
            folder / "p.toml",
            Answers(state_dir=folder / "state", user="nobody", advertised_host=host),
            utc_now,
            lambda _: None,
        )
    assert contents(folder) == {}


def test_what_is_answered_is_what_is_read(folder):
    settings, _ = make(
        folder,
        database_uri="mongodb://h/",
        database_username="u",
        database_password='p"\\x',
        audit_interval_minutes=7,
        log_handler="syslog",
        syslog_host="log.example",
    )
    assert settings.database.password_file.read_text() == 'p"\\x\n'
    assert stat.S_IMODE(settings.database.password_file.stat().st_mode) == 0o600
    assert settings.audit_interval == timedelta(minutes=7)
    assert (settings.logging.handler, settings.logging.syslog_host) == ("syslog", "log.example")


@pytest.mark.root
@pytest.mark.root
def test_as_root_everything_is_given_to_the_user(folder):
    settings, _ = make(folder)
    nobody = pwd.getpwnam("nobody")
    state = settings.server.state_dir
    assert {path.stat().st_uid for path in [state, *state.rglob("*")]} == {nobody.pw_uid}
    facts = settings.path.stat()
    assert (facts.st_uid, facts.st_gid) == (0, nobody.pw_gid)
    assert stat.S_IMODE(facts.st_mode) == 0o640


def test_the_dialogue_asks_and_keeps_defaults(folder):
    found = []

    @click.command()
    def dialogue():
        found.append(ask(answers(folder, operators=("alice",))))

    typed = ["", "8443", "8443", "8444", "n", "", "30", "0", "2", "", "", "", "Bob", "bob"]
    result = CliRunner().invoke(dialogue, input="\n".join(typed) + "\n")
    assert result.exit_code == 0, result.output
    assert (found[0].main_port, found[0].bootstrap_port) == (8443, 8444)
    assert (found[0].audit_interval_minutes, found[0].collect_interval_minutes) == (30, 2)
    assert (found[0].advertised_host, found[0].operators) == ("h.example", ("bob",))


def test_the_command_prints_one_invitation_and_can_be_repeated(folder):
    server = Server(folder / "s")
    server.folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(server.folder, 65534, 65534)
    words = ("setup", "--yes", "--state-dir", server.folder / "state")
    words += ("--advertised-host", "127.0.0.1", "--operator", "alice")
    line = server.run(*words).strip().splitlines()[-1]
    invitation = decode_invitation(line)
    settings = load_settings(server.config)
    assert invitation.operator_name == "alice"
    assert invitation.fleet == settings.server.fleet_id
    assert invitation.trust_hash == b""
    anchor = (settings.server.state_dir / "authority/anchor.pem").read_bytes()
    assert invitation.anchor == certs.pem_to_der(anchor)
    assert decode_invitation(server.run(*words).strip()).secret != invitation.secret
    assert "all is well" in server.run("check-config")


def test_no_secret_is_asked_for_on_the_command_line():
    done = subprocess.run(
        [str(Path(sys.executable).parent / "penguind"), "setup", "--help"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "--database-password " not in done.stdout
    assert "--database-password-file" in done.stdout


def test_a_chain_is_checked_by_a_real_handshake(folder):
    own = Own(folder)
    chain.verify_chain(own.certificate, own.key, own.anchor, "h.example")
    former = own.anchor
    own = Own(folder)
    with pytest.raises(PreconditionFailed):
        chain.verify_chain(own.certificate, own.key, former, "h.example")


def test_an_external_database_is_used_and_bound_to_the_fleet(folder, mongo_uri):
    name = f"t{os.urandom(8).hex()}"
    said = []

    async def story():
        settings, _ = make(folder, database_uri=mongo_uri, database_name=name)
        lines = await invite_first(settings, ["alice", "bob"], utc_now, said.append)
        assert [decode_invitation(line).operator_name for line in lines] == ["alice", "bob"]
        (folder / "p.toml").unlink()
        (folder / "state").rename(folder / "former")
        other, _ = make(folder, database_uri=mongo_uri, database_name=name)
        try:
            with pytest.raises(PreconditionFailed, match="belongs to the fleet"):
                await invite_first(other, ["alice"], utc_now, said.append)
        finally:
            async with console_database(settings) as database:
                await database.client.drop_database(name)

    asyncio.run(story())
