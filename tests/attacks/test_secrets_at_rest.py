"""A thief of the database and of the disk finds no secret that was ever used."""

import base64
import hashlib
import os
import subprocess

import pytest

from penguindome import certs
from penguindome.tokens import decode_invitation, decode_token
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.needles import files, forms, hits, key_forms
from tests.attacks.kit.wire import refusal
from tests.harness.process import environment

pytestmark = pytest.mark.timeout(120)
PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"


@pytest.fixture(scope="module")
def lived(fleet):
    """Return what was secret in a fleet's ordinary life: forms of secrets by name."""
    alice = fleet.alice
    line, approved = alice.token("--note", "for web"), alice.token("--approve")
    invitation_line = fleet.invite("carol").read_text().strip()
    fleet.operator("carol", fleet.folder / "invitation-carol")
    agent = fleet.device(plugins=fleet.plugins(one=PLUGIN), token=line)
    fleet.wait_for_report(agent)
    waiting = fleet.device(plugins=fleet.plugins(one=PLUGIN))
    waiting.enroll(approved)
    alice.run("device", "approve", waiting.device_id(), "--yes")
    state, authority = fleet.server.folder / "state", fleet.server.folder / "state/authority"
    first = decode_invitation(fleet.server.invitation.read_text())
    return {
        "token": forms(decode_token(line).secret) | {line.encode()},
        "token with approval": forms(decode_token(approved).secret) | {approved.encode()},
        "first invitation": forms(first.secret),
        "invitation": forms(decode_invitation(invitation_line).secret) | {invitation_line.encode()},
        "device's key": key_forms((agent.folder / "state/identity/key.pem").read_bytes()),
        "operator's key": key_forms((alice.folder / "config/penguinctl/key.pem").read_bytes()),
        "operator's signing key": forms(signing_secret(alice)),
        "device authority": key_forms((authority / "device-ca-key.pem").read_bytes()),
        "operator authority": key_forms((authority / "operator-ca-key.pem").read_bytes()),
        "anchor": key_forms((authority / "anchor-key.pem").read_bytes()),
        "server": key_forms((state / "tls/server-key.pem").read_bytes()),
    }


def signing_secret(operator):
    """Return the secret number of an operator's OpenPGP key: the end of its exported packet."""
    home = str(operator.folder / "gnupg")
    exported = subprocess.run(
        ["gpg", "--homedir", home, "--batch", "--export-secret-keys"],
        check=True,
        capture_output=True,
        timeout=30,
        env=environment(),
    ).stdout
    # RFC 4880 §4.2.1: the tag of a secret key, one byte of length.
    assert exported[0] == 0x94
    packet = exported[2 : 2 + exported[1]]
    # RFC 4880 §5.5.3: the number, which may have lost leading zeros, then a checksum of two bytes.
    return packet[-32:-2]


def key_files(state_dir):
    names = ("device-ca-key.pem", "operator-ca-key.pem", "anchor-key.pem")
    return [*(state_dir / "authority" / name for name in names), state_dir / "tls/server-key.pem"]


def test_dump_of_the_database_holds_no_secret(database, lived, token):
    heaps = dict(database.dump())
    assert {name: found for name, heap in heaps.items() if (found := hits(lived, heap))} == {}
    # The dump is complete: what belongs there is there, also in the replication's own log.
    right = hashlib.sha256(token.secret).digest()
    assert right in heaps["penguindome.tokens"]
    assert right in heaps["local.oplog.rs"]
    for name in ("devices", "operators", "ledger", "trust", "states", "invitations"):
        assert heaps[f"penguindome.{name}"]


def test_state_folder_and_logs_hold_no_secret(fleet, state_dir, lived):
    left_out = key_files(state_dir)
    found = {
        str(path.relative_to(fleet.server.folder)): names
        for path, heap in files(
            fleet.server.folder, except_for=[*left_out, fleet.server.invitation]
        )
        if (names := hits(lived, heap))
    }
    assert found == {}
    # The same search finds each key in its own file.
    for path in left_out:
        assert hits(lived, path.read_bytes())


def test_search_knows_an_operators_signing_key(fleet, lived):
    """The control: gpg's own file has it, and is the only one."""
    found = [
        path for path, heap in files(fleet.folder) if "operator's signing key" in hits(lived, heap)
    ]
    assert [path.parent.name for path in found] == ["private-keys-v1.d"]


def test_devices_and_operators_keep_no_spent_secret(fleet, lived):
    spent = {name: lived[name] for name in lived if "token" in name or "invitation" in name}
    folders = [*(agent.folder for agent in fleet.agents), *(one.folder for one in fleet.operators)]
    for folder in folders:
        for path, heap in files(folder):
            assert not hits(spent, heap), path


def test_guesses_and_near_misses_are_not_kept_either(fleet, wire, database, lived):
    """A secret for another token, or mistyped by one letter, is nearly a secret."""
    typed = os.urandom(32)
    token = decode_token(fleet.alice.token())
    assert refusal(EvilAgent(wire).enroll, token, secret=typed).code == "token-refused"
    assert refusal(EvilAgent(wire).enroll, token, hints={"x": typed, "a.b": b""})
    needles = {"typed": forms(typed)}
    for name, heap in database.dump():
        assert not hits(needles, heap), name
    assert not hits(needles, fleet.server.log().encode())


@pytest.mark.parametrize("how", ["raw", "hex", "base64", "inside of base64", "key"])
def test_search_finds_what_is_hidden(database, how):
    """The control: a secret put into the database in each of these forms is found."""
    key = certs.generate_key()
    secret = os.urandom(32)
    hidden = {
        "raw": secret,
        "hex": secret.hex(),
        "base64": base64.b64encode(secret),
        "inside of base64": base64.urlsafe_b64encode(b"x" + secret + b"y"),
        "key": key.decode(),
    }[how]
    needles = {"it": key_forms(key) if how == "key" else forms(secret)}
    collection = database.records["hidden"]
    collection.insert_one({"a": [{"b": hidden}]})
    try:
        found = {name for name, heap in database.dump() if hits(needles, heap)}
    finally:
        collection.drop()
    assert {"penguindome.hidden", "local.oplog.rs"} <= found
