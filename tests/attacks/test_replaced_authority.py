"""An authority that was replaced, because it was stolen: what it signed is worth nothing."""

from datetime import UTC, datetime, timedelta

import pytest

from penguindome import certs
from penguindome.errors import Unavailable
from penguindome.tokens import decode_token
from tests.attacks.conftest import MANY_CALLS
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.http2 import Http2, client_context
from tests.attacks.kit.keys import StolenKeys, certificate
from tests.attacks.kit.wire import Wire, refusal
from tests.harness.fleet import Fleet

pytestmark = pytest.mark.timeout(120)
VERDICTS = "/penguindome.v1.AgentService/ListVerdicts"


@pytest.fixture
def own_fleet():
    """Return a fleet of its own: it is not usable for others afterwards."""
    with Fleet(settings=MANY_CALLS) as running:
        yield running


def replace_authority(server):
    """Put another device authority in the place of the stolen one, as an administrator would."""
    folder = server.folder / "state/authority"
    key = certs.generate_key()
    pem = certs.make_authority(
        "new",
        key_pem=key,
        now=datetime.now(UTC) - timedelta(minutes=5),
        lifetime=timedelta(days=700),
        path_length=0,
        client_auth_only=True,
    )
    # Written in place: owner and mode stay.
    (folder / "device-ca.pem").write_bytes(pem)
    path = folder / "device-ca-key.pem"
    path.chmod(0o600)
    path.write_bytes(key)
    path.chmod(0o400)


def test_tickets_and_certificates_of_a_stolen_authority(own_fleet):
    server = own_fleet.server
    keys = StolenKeys(server.folder / "state")
    wire = Wire(server, keys.anchor)
    device, thief = EvilAgent(wire), EvilAgent(wire)
    device.enroll(decode_token(own_fleet.alice.token()))
    device.call()
    context = client_context(keys.anchor, device.identity)
    with Http2(server.main_port, context) as honest:
        assert honest.call(VERDICTS).status == 0
        session = honest.tls.session
    server.stop()
    replace_authority(server)
    server.start()
    with pytest.raises(OSError, match=r".+"), Http2(server.main_port, context, session) as replayed:
        replayed.call(VERDICTS)
    forged = certificate(keys.device, device.key, device.uri)
    for old in (device.certificate, forged):
        assert type(refusal(device.call, old)) is Unavailable
    assert refusal(thief.renew, device_id=device.device_id).code == "possession"
    # The honest device comes back through the proof that needs no certificate.
    device.renew()
    device.call()
    wire.close()
