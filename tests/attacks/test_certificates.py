"""Certificates that are not what they should be, on the port that wants one."""

from datetime import UTC, datetime, timedelta

import grpc
import pytest

from penguindome import certs
from penguindome.errors import Unauthenticated, Unavailable
from penguindome.names import Principal, to_uri
from penguindome.v1 import agent_pb2
from tests.attacks.kit.evil_agent import EvilAgent, verdicts, verdicts_by
from tests.attacks.kit.keys import SERVER, Identity, certificate, own_authority
from tests.attacks.kit.wire import first_answer, refusal
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(120)
BEGIN = "/penguindome.v1.BootstrapService/Begin"


def handshake_refused(function, *words):
    """Check that nothing of ours answered: the connection never came about."""
    error = refusal(function, *words)
    assert type(error) is Unavailable
    assert error.code in {"", "unavailable", "unreachable"}


def test_no_certificate_on_the_main_port(fleet, wire, device):
    before = fleet.server.log()
    handshake_refused(verdicts_by, wire.main())
    handshake_refused(first_answer, wire.main(), BEGIN)
    assert "ListVerdicts" not in fleet.server.log()[len(before) :]
    device.call()
    assert first_answer(wire.bootstrap(), BEGIN)


@pytest.mark.parametrize("disguised", [False, True])
def test_certificate_of_another_authority(keys, database, device, disguised):
    evil = own_authority(like=keys.device.certificate if disguised else None)
    forged = certificate(evil, device.key, device.uri)
    database.know(device.device_id, forged)
    handshake_refused(device.call, forged)
    handshake_refused(device.call, forged + evil.certificate)
    genuine = certificate(keys.device, device.key, device.uri)
    database.know(device.device_id, genuine)
    device.call(genuine)


def test_certificate_for_servers(keys, database, device):
    forged = certificate(keys.device, device.key, device.uri, usage=[SERVER])
    database.know(device.device_id, forged)
    handshake_refused(device.call, forged)
    device.call()


def test_certificate_of_an_authority_as_a_devices(keys, database, device):
    forged = certificate(keys.device, device.key, device.uri, is_ca=True)
    database.know(device.device_id, forged)
    error = refusal(device.call, forged)
    assert isinstance(error, Unauthenticated | Unavailable)
    device.call()


def test_certificate_signed_by_a_device(keys, database, wire, token, device):
    """A device's certificate plays authority, also one that claims to be an authority."""
    victim = EvilAgent(wire)
    victim.enroll(token)
    middle = certificate(keys.device, device.key, device.uri, is_ca=True)
    for issuer in (device.certificate, middle):
        forged = certificate(Identity(device.key, issuer), victim.key, victim.uri)
        database.know(victim.device_id, forged)
        error = refusal(victim.call, forged + issuer)
        assert isinstance(error, Unauthenticated | Unavailable)
    victim.call()


@pytest.mark.parametrize("days", [-400, -20, 20], ids=["long-over", "over", "not-yet"])
def test_certificate_out_of_its_dates(keys, database, device, days):
    start = datetime.now(UTC) + timedelta(days=days)
    dates = {"not_before": start, "not_after": start + timedelta(days=14)}
    forged = certificate(keys.device, device.key, device.uri, **dates)
    database.know(device.device_id, forged)
    assert isinstance(refusal(device.call, forged), Unauthenticated | Unavailable)
    device.call()


def test_agent_with_an_expired_certificate_renews_it_at_once(fleet, keys):
    agent = fleet.device(plugins=fleet.plugins(one="#!/bin/sh\necho 1\n"))
    agent.enroll(fleet.alice.token())
    path = agent.folder / "state/identity/certificate.pem"
    facts = certs.parse_certificate(path.read_bytes())
    start = datetime.now(UTC) - timedelta(days=15)
    key = (agent.folder / "state/identity/key.pem").read_bytes()
    dates = {"not_before": start, "not_after": start + timedelta(days=14)}
    expired = certificate(keys.device, key, facts.uris[0], **dates)
    path.write_bytes(expired)
    agent.start()
    # Five seconds, and as many times more on a busy machine.
    wait_until(lambda: path.read_bytes() != expired, 25, agent.log())
    wait_until(lambda: fleet.shown(agent)["device"]["connected"], 25, agent.log())


def test_open_channel_outlives_its_certificate(keys, database, device):
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=6)
    short = certificate(keys.device, device.key, device.uri, not_after=end)
    database.know(device.device_id, short)
    stub = device.stub(short)
    verdicts(stub)
    stream = stub.CheckIn(agent_pb2.CheckInRequest(hostname="evil"), timeout=30)
    assert next(stream).HasField("welcome")
    wait_until(lambda: datetime.now(UTC) > end + timedelta(seconds=1), 20, "time stands still")
    error = refusal(verdicts, stub)
    assert (type(error), error.code) == (Unauthenticated, "expired")
    assert isinstance(refusal(lambda: list(stream)), Unauthenticated)
    assert stream.code() is grpc.StatusCode.UNAUTHENTICATED
    device.renew()
    device.call()


def odd_names(fleet_id, uri):
    other = to_uri(Principal("device", "0" * 32, "d-" + "a" * 16))
    alice = to_uri(Principal("operator", fleet_id, "alice"))
    return {
        "two-names": [uri, uri],
        "own-and-operator": [uri, alice],
        "no-name": [],
        "operator": [alice],
        "other-fleet": [other],
        "no-such-device": [to_uri(Principal("device", fleet_id, "d-" + "a" * 16))],
        "web": ["https://example.com/device/x"],
        "path-trick": [uri + "/../" + uri.rpartition("/")[2]],
        "suffix": [uri + "?x"],
    }


@pytest.mark.parametrize("which", odd_names("0" * 32, "").keys())
def test_certificate_with_other_names(keys, database, device, which):
    fleet_id = device.uri.split("/")[2]
    forged = certificate(keys.device, device.key, *odd_names(fleet_id, device.uri)[which])
    database.know(device.device_id, forged)
    error = refusal(device.call, forged)
    assert type(error) is Unauthenticated, error.text()
    device.call()


def test_operators_authority_names_a_device(keys, database, device):
    forged = certificate(keys.operator, device.key, device.uri)
    database.know(device.device_id, forged)
    assert type(refusal(device.call, forged)) is Unauthenticated
    device.call()
