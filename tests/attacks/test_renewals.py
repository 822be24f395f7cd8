"""Renewing somebody else's certificate, or one's own with an old proof."""

import asyncio

import pytest

from penguindome import certs, possession
from penguindome.errors import Forbidden, Unauthenticated
from penguindome.v1 import bootstrap_pb2 as boot
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.wire import SECONDS, refusal
from tests.harness import serving

pytestmark = pytest.mark.timeout(120)


def test_renewal_signed_by_another_key(wire, token, device):
    thief = EvilAgent(wire)
    thief.enroll(token)
    for signer in (thief.key, certs.generate_key()):
        error = refusal(
            thief.renew,
            device_id=device.device_id,
            signer=signer,
            csr=certs.make_csr(thief.key),
        )
        assert (type(error), error.code) == (Unauthenticated, "possession")
    # The honest owner is as well as before; and so is the thief, as itself.
    device.renew()
    device.call()
    thief.renew()
    thief.call()


def test_renewal_of_a_device_that_does_not_exist(device):
    error = refusal(device.renew, device_id="d-" + "a" * 16)
    known = refusal(device.renew, signer=certs.generate_key())
    assert (error.code, error.reason) == (known.code, known.reason)


def test_renewal_replayed(device):
    request = device.renewal()
    assert device.bootstrap.RenewDevice(request, timeout=SECONDS).certificate
    error = refusal(device.bootstrap.RenewDevice, request, timeout=SECONDS)
    assert (type(error), error.code) == (Unauthenticated, "nonce")


@pytest.mark.parametrize("nonce", [b"", b"x" * 32, b"x" * 5000])
def test_renewal_with_a_nonce_of_ones_own(device, nonce):
    assert refusal(device.renew, nonce=nonce).code == "nonce"


def test_one_proof_in_place_of_another(device):
    """A proof for polling or for another request, made for the same nonce, does not renew."""
    for wrong in (
        lambda nonce: possession.poll_bytes(nonce, device.device_id),
        lambda nonce: possession.renew_bytes(nonce, device.device_id, b"another request"),
    ):
        request = device.renewal()
        request.signature = certs.sign(device.key, wrong(request.nonce))
        error = refusal(device.bootstrap.RenewDevice, request, timeout=SECONDS)
        assert error.code == "possession"
    device.renew()


def test_nonce_burns_with_a_failed_try(device):
    nonce = device.nonce()
    assert refusal(device.renew, nonce=nonce, signer=certs.generate_key()).code == "possession"
    assert refusal(device.renew, nonce=nonce).code == "nonce"


@pytest.mark.parametrize(("seconds", "accepted"), [(55, True), (61, False)])
def test_nonce_older_than_a_minute(mongo_uri, seconds, accepted):
    async def story():
        async with asyncio.timeout(60), serving.running(mongo_uri) as server:
            device, _ = await server.enroll()
            nonce = (await server.bootstrap.Begin(boot.BeginRequest())).nonce
            csr = certs.make_csr(device.key)
            signed = possession.renew_bytes(nonce, device.name, csr)
            request = boot.RenewDeviceRequest(
                nonce=nonce,
                device_id=device.name,
                csr=csr,
                signature=certs.sign(device.key, signed),
            )
            server.clock.move(seconds=seconds)
            if accepted:
                assert (await server.bootstrap.RenewDevice(request)).certificate
            else:
                error = await serving.refusal(server.bootstrap.RenewDevice(request))
                assert error.code == "nonce"

    asyncio.run(story())


def test_renewal_by_a_revoked_device(fleet, device):
    device.renew()
    fleet.alice.run("device", "revoke", device.device_id, "--yes", "--reason", "lost")
    error = refusal(device.renew)
    assert (type(error), error.code) == (Forbidden, "revoked")
