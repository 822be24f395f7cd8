"""Every command and every option of penguind, with real databases and a real operator.

The last test holds what ran against what there is, so the tests of this module belong together.
"""

import json
import os
import stat

import pytest

from penguind.cli import cli
from penguind.config import load_settings
from penguindome import certs
from penguindome.tokens import decode_invitation
from tests.commands.keeping import keeper
from tests.harness import recorder
from tests.harness.own_certificate import own_certificate
from tests.harness.ports import free_port
from tests.harness.process import wait_until
from tests.harness.server import NOBODY
from tests.harness.site_mongod import PASSWORD, SET, SiteMongod

pytestmark = pytest.mark.timeout(180)
HELP = sorted(use for use in recorder.demanded(cli) if use[1] in {"-h", "--help"})


@pytest.mark.parametrize(("command", "spelling"), HELP)
def test_help(fleet, command, spelling):
    done = fleet.server.try_run(*command.split()[1:], spelling)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"Usage: {command}")


def test_version(fleet):
    assert fleet.server.run("--version").startswith("penguind, version ")


def test_check_config_of_a_running_server(fleet):
    assert "all is well" in fleet.server.run("check-config")


def test_operators_are_invited_listed_and_revoked(fleet, alice):
    words = ("--role", "viewer", "--role", "auditor", "--ttl", "90m")
    bob = fleet.operator("bob", fleet.invite("bob", *words))
    assert bob.json("server", "status")["self"]["roles"] == ["auditor", "viewer"]
    listed = fleet.server.run("operator", "list").splitlines()
    assert [line.split()[0] for line in listed] == ["alice", "bob"]
    # The way back in for whoever locked themselves out.
    words = ("admin", "10.0.0.0/8", "--lock-out-self")
    alice.run("operator", "ranges", *words)
    assert fleet.server.run("operator", "ranges", "admin").split() == ["10.0.0.0/8"]
    alice.run("operator", "ranges", "admin", "--clear", status=4)
    assert "everywhere" in fleet.server.run("operator", "ranges", "admin", "--clear")
    wait_until(
        lambda: alice.try_run("operator", "ranges", "admin", "--clear").returncode == 0, 10, ""
    )
    before = alice.json("ledger", "head")["number"]
    assert fleet.server.try_run("operator", "revoke", "nobody").returncode == 1
    assert alice.json("ledger", "head")["number"] == before
    assert "bob is revoked" in fleet.server.run("operator", "revoke", "bob")
    assert "revoked" in fleet.server.run("operator", "list")
    wait_until(lambda: bob.try_run("server", "status").returncode == 4, 10, "bob is let in")
    alice.run("server", "status")


def test_names_and_user_of_a_server(second):
    words = ("--user", "nobody", "--server-name", "alias.example", "--server-name", "10.9.8.7")
    words += ("--advertised-host", "127.0.0.1", "--address", "127.0.0.1")
    line = second.run("setup", "--yes", "--state-dir", second.folder / "state", *words)
    assert decode_invitation(line.strip()).host == "127.0.0.1"
    settings = load_settings(second.config)
    assert settings.server.user == "nobody"
    facts = certs.parse_certificate(settings.listen.certificate.read_bytes())
    assert facts.dns_names == ("alias.example",)
    assert set(facts.ip_addresses) == {"127.0.0.1", "10.9.8.7"}


def test_own_certificate_and_own_database_serve_an_operator(fleet, second):
    certificate, key = own_certificate(second.folder)
    password = second.folder / "password"
    password.write_text(PASSWORD + "\n")
    with SiteMongod(secure=True) as mongod:
        second.run(
            *("setup", "--yes", "--state-dir", second.folder / "state"),
            *("--address", "127.0.0.1", "--advertised-host", "127.0.0.1"),
            *("--main-port", second.main_port, "--bootstrap-port", second.bootstrap_port),
            *("--certificate", certificate, "--key", key),
            *("--database-uri", mongod.uri, "--database-name", "site"),
            *("--database-username", "penguind", "--database-password-file", password),
            *("--database-tls-ca-file", mongod.folder / "ca.pem", "--database-replica-set", SET),
            *("--operator", "carol", "--invitation-file", second.invitation),
        )
        kept = load_settings(second.config).database.password_file
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert PASSWORD not in second.config.read_text()
        second.run("check-config")
        second.start()
        carol = fleet.operator("carol", second.invitation)
        assert "MongoDB" in carol.json("server", "status")["database"]
        second.stop()


def authorities(server):
    """Return what `ca show` lists, as (kind, role, fingerprint)."""
    rows = [line.split() for line in server.run("ca", "show").splitlines()[::2]]
    return [(row[0], row[1], row[-1]) for row in rows]


def test_authorities_are_shown_rotated_and_retired(fleet, alice):
    server = fleet.server
    before = authorities(server)
    kinds = ["device", "operator", "anchor"]
    assert [(kind, role) for kind, role, _ in before] == [(kind, "issuing") for kind in kinds]
    for kind in ("device", "operator"):
        assert "issues from now on" in server.run("ca", "rotate", kind)
    after = authorities(server)
    assert [row[1] for row in after] == ["issuing", "accepted", "issuing", "accepted", "issuing"]
    former = after[1][2]
    assert former == before[0][2]
    refused = server.try_run("ca", "retire", "device", former[:12])
    assert refused.returncode == 1
    assert "valid until" in refused.stderr
    assert "is retired" in server.run("ca", "retire", "device", former[:12], "--force")
    assert former not in server.run("ca", "show")
    alice.run("server", "status")
    assert "authority.retire" in alice.run("ledger", "list")


def test_the_anchor_is_rotated_with_its_key_elsewhere(fleet, alice):
    server = fleet.server
    key = server.folder / "state/authority/anchor-key.pem"
    stick = fleet.folder / "stick.pem"
    stick.write_bytes(key.read_bytes())
    key.unlink()
    said = server.try_run("ca", "rotate", "anchor")
    assert said.returncode == 1
    assert "--anchor-key" in said.stderr
    assert "Renewed" in server.run("ca", "renew", "--anchor-key", stick)
    if os.geteuid() == 0:
        os.chown(stick, NOBODY, NOBODY)
    assert "penguinctl trust anchors" in server.run("ca", "rotate", "anchor", "--anchor-key", stick)
    assert "Renewed" in server.run("ca", "renew")
    # She knows only the former one, which vouches for the new one.
    alice.run("server", "status")
    assert "Nothing is new" not in alice.run("trust", "anchors")


def test_backups_are_made_verified_and_restored(fleet, second):
    folder = fleet.server.folder
    whole, state = second.folder / "whole.backup", second.folder / "state"
    fleet.server.run("backup", folder / "whole.backup")
    fleet.server.run("backup", "create", folder / "other.backup")
    assert "The backup is whole." in fleet.server.run("backup", "verify", folder / "other.backup")
    (folder / "whole.backup").rename(whole)
    second.run("restore", whole, "--settings-only", "--into-state-dir", state)
    assert load_settings(second.config).server.state_dir == state
    assert not state.exists()
    second.run("restore", whole, "--yes")
    second.run("check-config")
    assert "alice" in second.run("operator", "list")
    # The fleet's own server still has that port.
    assert "a server runs here" in second.try_run("restore", whole, "--yes", "--replace").stderr
    ports = str(fleet.server.main_port), str(second.main_port)
    second.config.write_text(second.config.read_text().replace(*ports))
    second.run("restore", whole, "--yes", "--replace")
    assert [row.split()[0] for row in second.run("operator", "list").splitlines()] == [
        "alice",
        "bob",
    ]


def test_an_encrypted_backup_is_the_keepers_alone(fleet, second):
    sealed, plain = second.folder / "sealed", second.folder / "plain"
    with keeper() as owner:
        fleet.server.run("backup", "create", sealed, "--encrypt-to", owner.key)
        assert "encrypted" in second.try_run("backup", "verify", sealed).stderr
        assert b"BEGIN" not in sealed.read_bytes()
        plain.write_bytes(owner.run("--decrypt", sealed))
        plain.chmod(0o644)
        assert "The backup is whole." in second.run("backup", "verify", plain)
        junk = second.folder / "junk"
        junk.write_text("no key")
        said = fleet.server.try_run("backup", second.folder / "none", "--encrypt-to", junk)
        assert (said.returncode, "gpg does not encrypt" in said.stderr) == (1, True)
        assert not (second.folder / "none").exists()


def test_a_backup_enters_a_database_of_the_sites_own(fleet, second):
    whole = second.folder / "whole.backup"
    fleet.server.run("backup", fleet.server.folder / "whole.backup")
    (fleet.server.folder / "whole.backup").rename(whole)
    with SiteMongod() as mongod:
        second.run("restore", whole, "--settings-only", "--into-state-dir", second.folder / "state")
        text = second.config.read_text().replace("[database]", f'[database]\nuri = "{mongod.uri}"')
        ports = str(fleet.server.main_port), str(second.main_port)
        second.config.write_text(text.replace(*ports))
        with mongod.client() as client:
            client["penguindome"]["devices"].insert_one({"_id": "in the way"})
            refused = second.try_run("restore", whole, "--yes")
            assert (refused.returncode, "not empty" in refused.stderr) == (1, True)
            assert not (second.folder / "state").exists()
            second.run("restore", whole, "--yes", "--replace")
            names = client["penguindome"].list_collection_names()
        (aside,) = [name for name in names if name.startswith("before_restore_")]
        assert aside.endswith(".devices")
        assert "alice" in second.run("operator", "list")


def examined(server, *options):
    """Ask the doctor, whose exit status is that of the worst it finds."""
    words = ("doctor", *options)
    done = server.try_run(*words)
    assert done.stdout
    assert "Traceback" not in done.stderr
    recorder.note(server.words(*words))
    return done


def test_doctor_tells_what_is_wrong_and_changes_nothing(fleet, alice, second):
    well = json.loads(examined(fleet.server, "--full", "-o", "json").stdout)
    found = {one["name"]: one for one in well["checks"]}
    assert {found[name]["status"] for name in ("database", "ports", "ledger", "indexes")} == {"ok"}
    assert not [one for one in well["checks"] if one["status"] == "fail"]
    ill = examined(second, "--output", "table")
    assert (ill.returncode, "there is no settings file" in ill.stdout) == (2, True)
    assert list(second.folder.iterdir()) == []


def test_listeners_are_shown_added_changed_and_removed(second):
    state, boot = second.folder / "state", free_port()
    where = ("--address", "127.0.0.1", "--advertised-host", "127.0.0.1")
    ports = ("--main-port", second.main_port, "--bootstrap-port", second.bootstrap_port)
    second.run("setup", "--yes", "--state-dir", state, *where, *ports)
    authority, tls = state / "authority", state / "tls"
    key_away = second.folder / "anchor-key.pem"
    (authority / "anchor-key.pem").rename(key_away)
    made = ("--generate", "--name", "alias.example", "--anchor-key", key_away)
    six = ("--address", "::1", "--advertised-host", "::1", "--advertised-port", 443)
    assert "is added" in second.run(
        "ports", "add", "new", "--kind", "main", "--port", free_port(), *six, *made, "--deprecated"
    )
    own = ("--certificate", tls / "server.pem", "--key", tls / "server-key.pem")
    second.run("ports", "add", "boot", "--kind", "bootstrap", "--port", boot, *own)
    assert "restart" in second.run("ports", "configure", "new", "--no-deprecated")
    second.run("ports", "configure", "main", "--deprecated", "--port", free_port())
    second.run("ports", "configure", "new", *own, "--advertised-host", "127.0.0.1")
    second.run("ports", "configure", "new", *made, "--advertised-port", 0)
    shown = second.run("ports", "show")
    assert "main (main, deprecated)" in shown
    assert f"{tls}/new.pem" in shown
    assert "127.0.0.1, alias.example" in shown or "alias.example, 127.0.0.1" in shown
    assert "all is well" in second.run("check-config")
    (tls / "new.pem").unlink()
    done = second.try_run("ports", "show")
    assert "MISSING" in done.stdout
    assert "Warning: The listener new is not usable" in done.stderr
    second.run("ports", "remove", "new")
    assert "new" not in second.run("ports", "show").split()


def test_all_that_there_is_was_run():
    missing = recorder.demanded(cli) - recorder.used(cli)
    assert not missing, f"no test of this module runs: {sorted(missing)}"
