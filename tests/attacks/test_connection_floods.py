"""Connections that are opened and never come to the point: honest devices do not notice."""

import contextlib
import socket
import time

import psutil
import pytest

from penguindome.v1 import bootstrap_pb2 as boot
from tests.attacks.kit.crowd import (
    EMPTY_SETTINGS,
    ENDLESS_HEADERS,
    PREFACE,
    Crowd,
    hello,
    latencies,
    p99,
)
from tests.attacks.kit.evil_agent import verdicts
from tests.attacks.kit.http2 import client_context

pytestmark = pytest.mark.timeout(120)
PORTS = ("main_port", "bootstrap_port")
CROWD, SLOW = 300, 50
CUT_SECONDS = 5
SENT_BYTES = 32 << 20
# A quarter of a second on an idle machine, and as many times more on a busy one.
P99_SECONDS = 0.25 * 5
TIMES = 10


class Honest:
    """Callers who have something to say, over open connections and over new ones."""

    def __init__(self, device):
        stub = device.stub()
        verdicts(stub)
        self.calls = {
            "open": (lambda: verdicts(stub), 200),
            "new": (device.call, 20),
            "applicant": (lambda: device.bootstrap.Begin(boot.BeginRequest(), timeout=10), 100),
        }

    def measure(self):
        """Return the 99th percentile of each way to call."""
        return {name: p99(latencies(*call)) for name, call in self.calls.items()}


def unhurt(before, after):
    """Check that nobody waits long, neither absolutely nor compared with an empty house."""
    for name, length in after.items():
        assert length < max(P99_SECONDS, TIMES * before[name]), (name, before, after)


@pytest.fixture
def honest(device):
    return Honest(device)


@pytest.mark.parametrize("port", PORTS)
def test_idle_connections_half_handshakes_and_slow_hellos(fleet, honest, port):
    before = honest.measure()
    number, whole = getattr(fleet.server, port), hello()
    with (
        Crowd(number, CROWD) as idle,
        Crowd(number, CROWD, whole) as half,
        Crowd(number, SLOW, whole[:1]) as slow,
    ):
        crowds = (idle, half, slow)
        unhurt(before, honest.measure())
        for byte in whole[1:]:
            slow.dribble(bytes([byte]))
            if not sum(crowd.look() for crowd in crowds):
                break
            assert time.monotonic() - idle.started < CUT_SECONDS * 3
            time.sleep(0.1)
        for crowd in crowds:
            assert len(crowd.closed_after) == crowd.count
            assert min(crowd.closed_after) > CUT_SECONDS - 2
    unhurt(before, honest.measure())


def after_tls(fleet, keys, device, port, opening):
    """Return a connection that is through with TLS and has said so much of HTTP/2."""
    who = device.identity if port == "main_port" else None
    plain = socket.create_connection(("127.0.0.1", getattr(fleet.server, port)), 10)
    tls = client_context(keys.anchor, who).wrap_socket(plain, server_hostname="127.0.0.1")
    tls.sendall(opening)
    tls.settimeout(CUT_SECONDS * 3)
    return tls


@pytest.mark.parametrize("port", PORTS)
def test_slow_beginning_of_http2_is_cut(fleet, keys, device, port):
    start = time.monotonic()
    openings = (b"", PREFACE[:5], PREFACE)
    with contextlib.ExitStack() as stack:
        opened = [
            stack.enter_context(after_tls(fleet, keys, device, port, opening))
            for opening in openings
        ]
        for tls in opened:
            with contextlib.suppress(OSError):
                while tls.recv(65_536):
                    pass
            assert CUT_SECONDS - 2 < time.monotonic() - start < CUT_SECONDS * 3


@pytest.mark.parametrize("port", PORTS)
def test_headers_that_never_end(fleet, keys, device, honest, port):
    """Such a connection costs a socket until it misses a ping, and nobody else's time."""
    before = honest.measure()
    opening = PREFACE + EMPTY_SETTINGS + ENDLESS_HEADERS
    with contextlib.ExitStack() as stack:
        slow = [
            stack.enter_context(after_tls(fleet, keys, device, port, opening)) for _ in range(SLOW)
        ]
        for _ in range(3):
            for tls in slow:
                tls.sendall(b"\0")
            unhurt(before, honest.measure())


def grown_by(process, tls, data):
    """Return how many bytes a process grows by while it is sent the same over and over."""
    size_bytes = process.memory_info().rss
    with contextlib.suppress(OSError):
        for _ in range(SENT_BYTES // len(data)):
            tls.sendall(data)
    return process.memory_info().rss - size_bytes


@pytest.mark.parametrize("port", PORTS)
def test_headers_without_measure(fleet, keys, device, honest, port):
    """What is above gRPC's limit of 16 KiB is thrown away as it comes, not collected."""
    before = honest.measure()
    process = psutil.Process(fleet.server.process.pid)
    # RFC 7541 §6.2.2: a literal field without indexing, name and value of 100 bytes.
    fields = (b"\x00" + b"\x64" + b"a" * 100 + b"\x64" + b"b" * 100) * 80
    head = len(fields).to_bytes(3, "big")
    first = head + b"\x01\x00\x00\x00\x00\x01" + fields
    more = head + b"\x09\x00\x00\x00\x00\x01" + fields
    with after_tls(fleet, keys, device, port, PREFACE + EMPTY_SETTINGS + first) as tls:
        unhurt(before, honest.measure())
        # Buffers find their size first; what is collected would grow with every round.
        assert any(grown_by(process, tls, more) < SENT_BYTES / 4 for _ in range(10))
        unhurt(before, honest.measure())
