"""Power cuts at every step of enrolling and renewing, against the real server."""

import signal
from datetime import timedelta

import pytest

from penguindome import certs
from tests.attacks.kit.evil_agent import verdicts_by
from tests.attacks.kit.keys import Identity
from tests.harness.process import wait_until
from tests.penguin_agent.test_crashes import ENROLL, RENEW

pytestmark = pytest.mark.timeout(120)

SETTINGS = "\n[debug]\nfailpoints = true\n"
PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"
FILES = {"key.pem", "certificate.pem", "device.json"}


@pytest.fixture(scope="module")
def plugins(fleet):
    return fleet.plugins(example=PLUGIN)


@pytest.fixture
def device(fleet, plugins):
    agent = fleet.device(plugins=plugins, settings=SETTINGS)
    yield agent
    agent.stop()


class Laptop:
    """A device whose power fails at a point."""

    def __init__(self, agent):
        self.agent = agent
        self.identity_dir = agent.folder / "state/identity"

    def enroll(self, token, point=""):
        self.agent._more = {"PD_FAILPOINT": point} if point else {}
        done = self.agent.try_run("enroll", standard_input=token + "\n")
        self.agent._more = {}
        return done.returncode

    def names(self):
        return {path.name for path in self.identity_dir.iterdir()}

    def identity(self):
        key = (self.identity_dir / "key.pem").read_bytes()
        certificate = (self.identity_dir / "certificate.pem").read_bytes()
        assert certs.parse_certificate(certificate).spki == certs.key_spki(key)
        return Identity(key, certificate, self.agent.device_id())


def records(database, laptop):
    """Return what the server knows of all devices that this laptop has ever been."""
    keys = [certs.key_spki(path.read_bytes()) for path in laptop.identity_dir.glob("key.*")]
    return list(database.records["devices"].find({"spki": {"$in": keys}}))


@pytest.mark.parametrize("point", ENROLL)
def test_enrolling_ends_with_one_device_and_one_identity(fleet, wire, database, device, point):
    before = database.records["devices"].count_documents({})
    token = fleet.alice.token("--uses", "1")
    laptop = Laptop(device)
    assert laptop.enroll(token, point) == -signal.SIGKILL
    # The same token of one use again: either it is still good, or the device is in already.
    assert laptop.enroll(token) in {0, 6}
    assert laptop.names() == FILES
    assert database.records["devices"].count_documents({}) == before + 1
    (record,) = records(database, laptop)
    who = laptop.identity()
    assert record["_id"] == who.name
    assert certs.parse_certificate(who.certificate).serial in record["serials"]
    verdicts_by(wire.main(who))
    # Enrolled once: a second use finds the token used up, and changes nothing.
    assert laptop.enroll(token) != 0
    assert laptop.identity() == who


def old(keys, identity):
    """Return the certificate as it would be at the end of its life."""
    facts = certs.parse_certificate(identity.certificate)
    span = timedelta(days=12)
    return certs.issue(
        authority_pem=keys.device.certificate,
        authority_key_pem=keys.device.key,
        spki=facts.spki,
        uri=facts.uris[0],
        client=True,
        not_before=facts.not_before - span,
        not_after=facts.not_after - span,
    )


@pytest.mark.parametrize("point", RENEW)
def test_renewing_ends_with_one_device_and_one_identity(  # noqa: PLR0917 -- fixtures
    fleet, wire, keys, database, device, point
):
    laptop = Laptop(device)
    assert laptop.enroll(fleet.alice.token()) == 0
    first = laptop.identity()
    before = database.records["devices"].count_documents({})
    aged = old(keys, first)
    database.know(first.name, aged)
    (laptop.identity_dir / "certificate.pem").write_bytes(aged)
    device.start(PD_FAILPOINT=point)
    assert device.process.wait(30) == -signal.SIGKILL
    device.process = None
    device.start()

    def renewed():
        renewed = FILES | {"successions.json"}
        return laptop.names() == renewed and laptop.identity().certificate != aged

    wait_until(renewed, 40, f"no new certificate: {laptop.names()}")
    wait_until(lambda: fleet.shown(device)["device"]["connected"], 30, "it does not connect")
    who = laptop.identity()
    assert who.name == first.name
    assert database.records["devices"].count_documents({}) == before
    (record,) = records(database, laptop)
    assert certs.parse_certificate(who.certificate).serial in record["serials"]
    verdicts_by(wire.main(who))


def test_without_failpoints_the_same_steps_end_well(fleet, wire, device):
    laptop = Laptop(device)
    assert laptop.enroll(fleet.alice.token()) == 0
    verdicts_by(wire.main(laptop.identity()))
