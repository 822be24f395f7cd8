"""Many connections that never come to the point."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
EMPTY_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
# The start of a HEADERS frame of 16,000 bytes on stream 1, which never ends the headers.
ENDLESS_HEADERS = b"\x00\x3e\x80\x01\x00\x00\x00\x00\x01"


def hello() -> bytes:
    """Return the first message of a TLS handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1").do_handshake()
    return outgoing.read()


class Crowd:
    """Opens sockets to a port, and watches when the server closes them; use it with `with`."""

    def __init__(self, port: int, count: int, opening: bytes = b"") -> None:
        self.count = count
        self.started = time.monotonic()
        self._open: list[socket.socket] = []
        self.closed_after: list[float] = []
        for _ in range(count):
            member = socket.create_connection(("127.0.0.1", port), 10)
            if opening:
                member.sendall(opening)
            member.setblocking(False)
            self._open.append(member)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._open:
            member.close()

    def dribble(self, byte: bytes = b"\0") -> None:
        """Send one byte on every connection that is open."""
        for member in self._open:
            with contextlib.suppress(OSError):
                member.send(byte)

    def look(self) -> int:
        """Return how many are open still, noting when others were closed."""
        now = time.monotonic() - self.started
        for member in list(self._open):
            if _is_closed(member):
                self._open.remove(member)
                member.close()
                self.closed_after.append(now)
        return len(self._open)


def _is_closed(member: socket.socket) -> bool:
    try:
        while member.recv(65_536):
            pass
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except OSError:
        return True
    return True


def latencies(call: Callable[[], object], times: int) -> list[float]:
    """Return how long each of so many calls took, seconds, in order of length."""
    found = []
    for _ in range(times):
        start = time.monotonic()
        call()
        found.append(time.monotonic() - start)
    return sorted(found)


def p99(lengths: list[float]) -> float:
    """Return the 99th percentile of sorted lengths."""
    return lengths[min(len(lengths) - 1, len(lengths) * 99 // 100)]
