"""Old versions of TLS, and sessions that are resumed without the key."""

import contextlib
import socket
import ssl
import warnings
from datetime import UTC, datetime, timedelta

import pytest

from penguindome import certs
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.http2 import UNAUTHENTICATED, Http2, client_context, hold
from tests.attacks.kit.keys import Identity, certificate, own_authority
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(120)
VERDICTS = "/penguindome.v1.AgentService/ListVerdicts"


class Ticket:
    """What is left of a device's TLS session once its key and certificate are gone."""

    def __init__(self, port, anchor, who):
        self.port = port
        self.context = client_context(anchor, who)
        with Http2(port, self.context) as honest:
            assert honest.call(VERDICTS).status == 0
            assert not honest.tls.session_reused
            self.session = honest.tls.session
        assert self.session.has_ticket
        stranger = own_authority()
        hold(self.context, Identity(stranger.key, stranger.certificate))

    def replay(self):
        """Return whether the server resumed the session, and how it answered."""
        with Http2(self.port, self.context, self.session) as replayed:
            return replayed.tls.session_reused, replayed.call(VERDICTS)

    def without(self):
        """Try the same without the ticket."""
        with Http2(self.port, self.context) as plain:
            return plain.call(VERDICTS)


@pytest.fixture
def ticket(fleet, keys):
    return lambda who: Ticket(fleet.server.main_port, keys.anchor, who)


def test_ticket_alone_is_as_good_as_its_certificate(ticket, device):
    """The control for what follows: a resumed session asks for no key, so the guard has to."""
    found = ticket(device.identity)
    resumed, answer = found.replay()
    assert (resumed, answer.status) == (True, 0)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        found.without()


def test_ticket_replayed_after_revocation(fleet, ticket, device):
    found = ticket(device.identity)
    fleet.alice.run("device", "revoke", device.device_id, "--yes", "--reason", "lost")
    resumed, answer = found.replay()
    assert resumed
    assert (answer.status, answer.code) == (UNAUTHENTICATED, "revoked")


def test_ticket_replayed_after_the_certificate_ended(ticket, keys, database, device):
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=6)
    short = certificate(keys.device, device.key, device.uri, not_after=end)
    database.know(device.device_id, short)
    found = ticket(Identity(device.key, short))
    wait_until(lambda: datetime.now(UTC) > end + timedelta(seconds=1), 20, "time stands still")
    resumed, answer = found.replay()
    assert resumed
    assert (answer.status, answer.code) == (UNAUTHENTICATED, "expired")


def test_ticket_replayed_after_the_key_was_replaced(wire, ticket, device):
    found = ticket(device.identity)
    successor = EvilAgent(wire)
    answer = device.renew(csr=certs.make_csr(successor.key))
    Ticket(found.port, wire.anchor, Identity(successor.key, answer.certificate))
    resumed, answer = found.replay()
    assert resumed
    assert (answer.status, answer.code) == (UNAUTHENTICATED, "other-key")


def test_tls_1_2_with_a_valid_certificate(fleet, keys, device):
    for version, status in ((ssl.TLSVersion.TLSv1_2, UNAUTHENTICATED), (ssl.TLSVersion.TLSv1_3, 0)):
        context = client_context(keys.anchor, device.identity, version=version)
        with Http2(fleet.server.main_port, context) as client:
            assert client.tls.version() == version.name.replace("v1_", "v1.")
            answer = client.call(VERDICTS)
        assert answer.status == status
        assert answer.code == ("tls-version" if status else "")


def shakes_hands(context, who):
    """Tell whether a client comes to terms with a server that takes every version of TLS."""
    accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    accepting.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    accepting.set_ciphers("ALL:@SECLEVEL=0")
    hold(accepting, who)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(back, there, server_hostname="127.0.0.1")
    server = accepting.wrap_bio(there, back, server_side=True)
    for side in (client, server) * 3:
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return client.version() == context.maximum_version.name.replace("v1_", "v1.")


@pytest.mark.parametrize("port", ["main_port", "bootstrap_port"])
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_tls_older_than_1_2(fleet, keys, device, version, port):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context = client_context(
            keys.anchor, device.identity, version=getattr(ssl.TLSVersion, version)
        )
    assert shakes_hands(context, keys.server)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Http2(getattr(fleet.server, port), context)


@pytest.mark.parametrize("port", ["main_port", "bootstrap_port"])
def test_no_tls_at_all(fleet, port):
    with socket.create_connection(("127.0.0.1", getattr(fleet.server, port)), 10) as plain:
        plain.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        answer = plain.recv(1000)
    assert b"grpc-status" not in answer
    # An HTTP/2 SETTINGS frame has type 4 in its fourth byte.
    assert answer[3:4] != b"\x04"
