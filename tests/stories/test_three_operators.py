"""Three operators share a fleet: they propose, sign, publish, and survive a stolen key.

One laptop is awake all the time; another one sleeps through four versions of the trust document.
"""

import subprocess
import time
from datetime import timedelta

import grpc
import pytest

from penguinctl import gpg_agent, signing
from penguindome.channels import sync_channel
from penguindome.envelope import make_payload, signed_bytes
from penguindome.error_wire import from_rpc_error
from penguindome.ids import new_ulid
from penguindome.times import utc_now
from penguindome.v1 import device_pb2, envelope_pb2
from tests.harness.process import wait_until
from tests.penguindome.signing import Home

pytestmark = pytest.mark.timeout(240)
PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"


def key_file(person):
    """Have somebody export their public key, as docs/keys.md says."""
    path = person.folder / "key.gpg"
    gpg = ["gpg", "--homedir", person.folder / "gnupg", "--batch", "--export-options"]
    done = subprocess.run(
        [*gpg, "export-minimal", "--export"], check=True, capture_output=True, timeout=60
    )
    path.write_bytes(done.stdout)
    return path


def joined(fleet, name):
    """Return a further operator, whose invitation carries the trust hash that alice pinned."""
    path = fleet.folder / f"{name}.txt"
    fleet.alice.run("operator", "invite", name, "--role", "admin", "--invitation-file", path)
    return fleet.operator(name, path)


def sign(person):
    """Have somebody look at the proposal and sign it; return what they were shown."""
    proposal = person.json("trust", "show")["proposal"]
    person.run("trust", "sign", "--yes", "--hash", proposal["hash"])
    return proposal


def version_of(device):
    return max(int(path.stem) for path in (device.folder / "state/trust").glob("[1-9]*.json"))


def follows(device, version):
    wait_until(lambda: version_of(device) == version, 30, f"the device stays {version_of(device)}")


def approval(fleet, device_id, key, home):
    """Return a signed approval of a waiting device, as whoever has a key can make it."""
    now = utc_now().replace(microsecond=0)
    shown = fleet.alice.json("device", "show", device_id)["device"]
    payload = make_payload(
        fleet=fleet.alice.json("trust", "show")["fleet_id"],
        kind="enroll",
        id=new_ulid(now),
        issued_time=now,
        not_before_time=now,
        expires_time=now + timedelta(days=1),
        devices=[device_id],
        reason="",
        by="bob",
        body={"device_id": device_id, "fingerprint": shown["key_fingerprint"]},
    )
    signature = Home(home).sign(key, signed_bytes("enroll", payload))
    return envelope_pb2.Envelope(kind="enroll", payload=payload, signatures=[signature])


def hand_in(fleet, device_id, envelope):
    """Hand an approval in with alice's certificate; return the error's code, "" for none."""
    folder = fleet.alice.folder / "config/penguinctl"
    channel = sync_channel(
        "127.0.0.1",
        fleet.server.main_port,
        anchors_pem=(folder / "anchor.pem").read_bytes(),
        key_pem=(folder / "key.pem").read_bytes(),
        cert_pem=(folder / "certificate.pem").read_bytes(),
    )
    request = device_pb2.ApproveDeviceRequest(device_id=device_id, approval=envelope)
    call = channel.unary_unary("/penguindome.v1.DeviceService/ApproveDevice")
    try:
        call(request.SerializeToString(), timeout=15)
    except grpc.RpcError as error:
        return from_rpc_error(error).code
    finally:
        channel.close()
    return ""


def waiting(fleet):
    """Return the id of a device that waits for approval."""
    device = fleet.device(plugins=fleet.plugins(example=PLUGIN))
    device.enroll(fleet.alice.token("--approve"))
    return device.device_id()


@pytest.fixture
def new_home(fleet):
    """Return where a second key may live; no agent stays there."""
    home = fleet.folder / "g2"
    yield home
    gpg_agent.end_agents()
    # Bob's own penguinctl leaves the agent of a home that is not its own.
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, timeout=20)


def become_three(alice, bob, carol):
    """Nobody can change the trust document alone any more."""
    words = ("--add", f"bob={key_file(bob)}", "--add", f"carol={key_file(carol)}")
    proposed = alice.json("trust", "propose", *words, "--recommended", "--yes")["proposal"]
    assert proposed["may_sign"] == ["bob", "carol"]
    assert "has not signatures enough" in alice.run("trust", "publish", status=6)
    seen = sign(bob)
    assert "Role root: 2 signatures instead of 1 signature." in seen["changes"]
    assert carol.json("trust", "publish")["version"] == 2


def void_what_was_stolen(alice, bob, carol, new_home):
    """Bob has another key, and nothing that anybody signed until now counts."""
    new = signing.make_key("bob", "0" * 32, new_home, ours=True, passphrase="")
    bob.run("init", "--gpg-key", new.fingerprint, "--gpg-home", new.home)
    path = bob.folder / "new.gpg"
    path.write_bytes(signing.public_key(new))
    words = ("--replace-key", f"bob={path}", "--void-before-now")
    alice.run("trust", "propose", *words, "--yes")
    assert any(line.startswith("VOID: everything") for line in sign(carol)["changes"])
    assert alice.json("trust", "publish")["version"] == 3


def let_carol_go(alice, bob, carol):
    """The two who stay can do without each other from then on."""
    bob.run("trust", "propose", "--remove", "carol", "--threshold", "root=1", "--yes")
    sign(alice)
    assert bob.json("trust", "publish")["version"] == 4
    assert "has not the root role" in carol.run("trust", "renew", status=4)
    assert bob.json("trust", "renew")["version"] == 5


def key_of(person, name):
    operators = person.json("trust", "show")["operators"]
    return next(one["fingerprint"] for one in operators if one["name"] == name)


def test_three_operators_share_a_fleet(fleet, alice, new_home):
    token = alice.token("--uses", "2")
    awake = fleet.device(plugins=fleet.plugins(example=PLUGIN), token=token)
    asleep = fleet.device(plugins=fleet.plugins(example=PLUGIN))
    asleep.enroll(token)
    bob, carol = joined(fleet, "bob"), joined(fleet, "carol")
    become_three(alice, bob, carol)
    follows(awake, 2)
    stolen, home = key_of(carol, "bob"), bob.folder / "gnupg"
    first, second = waiting(fleet), waiting(fleet)
    kept = approval(fleet, first, stolen, home)
    assert hand_in(fleet, second, approval(fleet, second, stolen, home)) == ""
    void_what_was_stolen(alice, bob, carol, new_home)
    follows(awake, 3)
    assert hand_in(fleet, first, kept) == "not-signed"
    assert hand_in(fleet, first, approval(fleet, first, stolen, home)) == "not-signed"
    alice.run("device", "approve", first, "--yes")
    let_carol_go(alice, bob, carol)
    follows(awake, 5)
    history = alice.json("trust", "history")["versions"]
    assert [(one["version"], one["signed_by"]) for one in history] == [
        (5, ["bob"]),
        (4, ["alice", "bob"]),
        (3, ["alice", "carol"]),
        (2, ["alice", "bob"]),
        (1, ["alice"]),
    ]
    assert version_of(asleep) == 1
    asleep.start()
    follows(asleep, 5)
    rows = alice.json("ledger", "list", "--limit", "100")["rows"]
    assert {row["action"] for row in rows} >= {"trust.propose", "trust.sign", "trust.publish"}


def test_what_alice_signed_before_the_floor_is_void_too(fleet, alice):
    """Nobody can tell what a thief signed in advance; so all has to be signed again."""
    device = waiting(fleet)
    key = key_of(alice, "alice")
    early = approval(fleet, device, key, alice.folder / "gnupg")
    alice.run("trust", "propose", "--void-before-now", "--yes")
    alice.run("trust", "publish")
    assert hand_in(fleet, device, early) == "voided"
    # What is signed in the second of the floor is void, too.
    time.sleep(1.1)
    alice.run("device", "approve", device, "--yes")
