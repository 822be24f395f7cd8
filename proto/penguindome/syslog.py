"""Send log records to syslog from a thread of their own, so that no caller ever waits for it.

A listener that cannot be reached, hangs or goes away costs at most a few seconds of that thread:
records go to stderr meanwhile, and to syslog again once it is back. A burst beyond the queue is
counted instead of kept.
Source: RFC 5424 (format over the network), RFC 6587 section 3.4.2 (one line each over TCP),
RFC 3164 as syslog(3) writes it (local socket).
"""

from __future__ import annotations

import contextlib
import os
import queue
import select
import socket
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

LOCAL_SOCKET = "/dev/log"
TIMEOUT_SECONDS = 5.0
RETRY_SECONDS = 10.0
CLOSE_SECONDS = 2.0
_QUEUE_LINES = 10_000
# What rsyslog takes by default, and a datagram holds.
_LINE_BYTES = 8000
_WARNING, _NOTICE = 4, 5


@dataclass(frozen=True, slots=True)
class Line:
    """One record: its syslog severity (0 to 7), its time in RFC 3339, and its text."""

    severity: int
    time: str
    text: str


@dataclass(frozen=True, slots=True)
class Listener:
    """Where syslog listens: a network address, or the local socket where `host` is empty."""

    host: str = ""
    port: int = 514
    protocol: str = "tcp"
    path: str = LOCAL_SOCKET

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.host}:{self.port}/{self.protocol}" if self.host else self.path

    def connect(self) -> socket.socket:
        """Return a connected socket that never blocks for long.

        Raises:
            OSError: Nobody listens, or the name cannot be resolved.
        """
        if not self.host:
            return self._connect_local()
        if self.protocol == "udp":
            return self._connect_udp()
        made = socket.create_connection((self.host, self.port), timeout=TIMEOUT_SECONDS)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return made

    def _connect_udp(self) -> socket.socket:
        found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_DGRAM)
        family, kind, number, _, address = found[0]
        made = socket.socket(family, kind, number)
        return _joined(made, address)

    def _connect_local(self) -> socket.socket:
        try:
            return _joined(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), self.path)
        except OSError:
            return _joined(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), self.path)


class Sender:
    """Writes lines to one listener, in order, on its own thread.

    Args:
        listener: Where to.
        facility: syslog's number of the facility.
        program: The name that lines carry.
        fallback: Turns a line into what stderr gets while syslog is away.
    """

    def __init__(
        self, listener: Listener, facility: int, program: str, fallback: Callable[[Line], str]
    ) -> None:
        self._listener = listener
        self._facility = facility
        self._program = program
        self._fallback = fallback
        self._lines: queue.Queue[Line | None] = queue.Queue(_QUEUE_LINES)
        self._socket: socket.socket | None = None
        self._retry_at = 0.0
        self._lost = 0
        self._astray = 0
        self._tried = threading.Event()
        self.failure = ""
        self._thread = threading.Thread(target=self._work, name="syslog", daemon=True)
        self._thread.start()

    def wait_connected(self, seconds: float = TIMEOUT_SECONDS) -> str:
        """Return why the first connection failed, empty if it did not; waits at most so long."""
        if not self._tried.wait(seconds):
            return f"no answer within {seconds:g} s"
        return self.failure

    def put(self, line: Line) -> None:
        """Hand a line over; returns at once."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Write what waits, for a moment, and end."""
        with contextlib.suppress(queue.Full):
            self._lines.put(None, timeout=CLOSE_SECONDS)
        self._thread.join(CLOSE_SECONDS)

    def _work(self) -> None:
        try:
            self._connection()
        except (OSError, UnicodeError) as error:
            self._give_up(str(error))
        self._tried.set()
        while (line := self._lines.get()) is not None:
            if not self._sent(line):
                self._astray += 1
                _write_stderr(self._fallback(line))
        self._hang_up()

    def _sent(self, line: Line) -> bool:
        try:
            self._report_gaps(self._connection())
            self._write(self._connection(), line)
        except (OSError, UnicodeError) as error:
            self._give_up(str(error))
            return False
        self.failure = ""
        return True

    def _connection(self) -> socket.socket:
        """Return a connection; a lost one is made anew, but after a failure not at once.

        Raises:
            OSError, UnicodeError: There is none.
        """
        if self._socket is not None and _is_closed(self._socket):
            self._hang_up()
        if self._socket is None:
            if time.monotonic() < self._retry_at:
                raise OSError(self.failure)
            self._socket = self._listener.connect()
        return self._socket

    def _give_up(self, reason: str) -> None:
        """Leave syslog alone for a while, and say so once."""
        self._hang_up()
        if time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + RETRY_SECONDS
        if reason != self.failure and self._tried.is_set():
            text = f"{self._program}: syslog at {self._listener} is away ({reason}); using stderr"
            _write_stderr(self._fallback(Line(_WARNING, _now(), text)))
        self.failure = reason

    def _hang_up(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _report_gaps(self, connection: socket.socket) -> None:
        lost, astray = self._lost, self._astray
        if not lost and not astray:
            return
        text = f"syslog was away: {astray} records went to stderr, {lost} were lost"
        self._write(connection, Line(_NOTICE, _now(), f"{self._program}: {text}"))
        self._lost -= lost
        self._astray = 0

    def _write(self, connection: socket.socket, line: Line) -> None:
        priority = self._facility << 3 | line.severity
        if self._listener.host:
            name = socket.gethostname() or "-"
            head = f"<{priority}>1 {line.time} {name} {self._program} {os.getpid()} - - "
        else:
            head = f"<{priority}>{self._program}[{os.getpid()}]: "
        data = (head + line.text).encode("utf-8", "replace")[:_LINE_BYTES]
        if connection.type == socket.SOCK_STREAM:
            data += b"\n" if self._listener.host else b"\0"
        connection.sendall(data)


def _joined(made: socket.socket, address: str | tuple[Any, ...]) -> socket.socket:
    try:
        made.settimeout(TIMEOUT_SECONDS)
        made.connect(address)
    except OSError:
        made.close()
        raise
    return made


def _is_closed(connection: socket.socket) -> bool:
    """Tell whether the other end has hung up; a listener says nothing otherwise."""
    if connection.type != socket.SOCK_STREAM:
        return False
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    try:
        return bool(waiting.poll(0)) and not connection.recv(4096)
    except OSError:
        return True


def _write_stderr(text: str) -> None:
    # It may be closed, or be gone while the interpreter ends.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(text + "\n")
        sys.stderr.flush()


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
