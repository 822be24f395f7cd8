"""Ways to a server on which, for a while, nothing arrives and nobody is told so."""

import contextlib
import selectors
import socket
import struct
import subprocess
import threading
from typing import Self

from tests.harness import ports

_AT_ONCE = struct.pack("ii", 1, 0)
_STEP_SECONDS = 0.1
_PIECE = 65536


class ProxyHole:
    """A way through a process: it stops forwarding, and goes on; no root is needed."""

    def __init__(self, port: int) -> None:
        """Take the server's port."""
        self._target = port
        self.port = ports.free_port()
        self._listening = socket.create_server(("127.0.0.1", self.port))
        self._open = threading.Event()
        self._open.set()
        self._over = False
        self._forgotten: set[socket.socket] = set()
        self._sockets: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        """Forward."""
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over = True
        self._open.set()
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for one in self._threads:
            one.join(10)
        for one in self._sockets:
            one.close()

    def shut(self) -> None:
        """Let nothing through, whichever way, until `let`."""
        self._open.clear()

    def let(self, *, forget: bool = False) -> None:
        """Let everything through; only new connections where the old ones are forgotten."""
        if forget:
            self._forgotten |= self._sockets
        self._open.set()

    def cut(self) -> None:
        """Reset every connection, whatever is under way; new ones are let through."""
        reset, self._sockets = self._sockets, set()
        for one in reset:
            with contextlib.suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            one.close()

    def _accept(self) -> None:
        while not self._over:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            self._open.wait()
            with contextlib.suppress(OSError):
                far = socket.create_connection(("127.0.0.1", self._target), 5)
                for one in (near, far):
                    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._sockets |= {near, far}
                thread = threading.Thread(target=self._forward, args=(near, far), daemon=True)
                self._threads.append(thread)
                thread.start()
                continue
            near.close()

    def _forward(self, near: socket.socket, far: socket.socket) -> None:
        other = {near: far, far: near}
        with selectors.DefaultSelector() as selector, contextlib.suppress(OSError):
            for one in other:
                selector.register(one, selectors.EVENT_READ)
            while selector.get_map() and not self._over:
                self._open.wait()
                if near in self._forgotten:
                    # Neither end hears of it.
                    return
                self._pass(selector, other)
        for one in other:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _pass(
        self, selector: selectors.BaseSelector, other: dict[socket.socket, socket.socket]
    ) -> None:
        """Hand on what there is."""
        for key, _ in selector.select(_STEP_SECONDS):
            source = key.fileobj
            if not self._open.is_set() or not isinstance(source, socket.socket):
                return
            if data := source.recv(_PIECE):
                other[source].sendall(data)
            else:
                other[source].shutdown(socket.SHUT_WR)
                selector.unregister(source)


class PacketHole:
    """A port whose packets the kernel drops; in a network namespace of one's own, as root."""

    def __init__(self, port: int) -> None:
        """Take the server's port."""
        self.port = port
        self._table = f"hole{port}"

    def __enter__(self) -> Self:
        """Make the table."""
        nft("add", "table", "inet", self._table)
        hook = "{ type filter hook input priority 0 ; policy accept ; }"
        nft("add", "chain", "inet", self._table, "in", hook)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the table."""
        nft("delete", "table", "inet", self._table)

    def shut(self) -> None:
        """Drop everything, whichever way, until `let`."""
        for end in ("dport", "sport"):
            nft("add", "rule", "inet", self._table, "in", "tcp", end, str(self.port), "drop")

    def let(self) -> None:
        """Let everything through."""
        nft("flush", "chain", "inet", self._table, "in")


def nft(*words: str) -> None:
    """Change the kernel's rules."""
    subprocess.run(["nft", *words], check=True, capture_output=True, timeout=30)
