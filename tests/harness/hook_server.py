"""A webhook's receiver: checks signatures, remembers what it got, and fails as it is told."""

import hashlib
import hmac
import http.server
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.harness.mail_server import works
from tests.harness.ports import free_port
from tests.harness.site_certificate import SiteCertificate

SECRET = b"0123456789abcdef0123456789abcdef"
FAILURES = ("503", "429", "408", "drop-before", "drop-after")


class HookServer:
    """Takes POSTs in a thread of its own.

    Attributes:
        failing: asked at each request how to fail; "" for not at all.
        received: every body that was taken, also those whose answer was lost.
        headers: the headers of each.
        wrong: how many requests had no right signature.

    """

    def __init__(self, certificate: SiteCertificate | None) -> None:
        self.port = free_port()
        self.failing: Callable[[], str] = works
        self.received: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.wrong = 0
        self.tries: list[str] = []
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self._handler())
        self._server.daemon_threads = True
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.certificate, certificate.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'http' if certificate is None else 'https'}://127.0.0.1:{self.port}/in?a=1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

    def take(self, headers: dict[str, str], body: bytes) -> None:
        """Check and remember a request."""
        signed = headers["PenguinDome-Timestamp"].encode() + b"." + body
        right = "v1=" + hmac.new(SECRET, signed, hashlib.sha256).hexdigest()
        value = json.loads(body)
        same_id = headers["PenguinDome-Alert-Id"] == value["id"]
        if not (hmac.compare_digest(right, headers["PenguinDome-Signature"]) and same_id):
            self.wrong += 1
            return
        self.received.append(value)
        self.headers.append(headers)

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                failure = owner.failing()
                owner.tries.append(failure)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if failure == "drop-before":
                    self.close_connection = True
                    return
                if failure.isdigit():
                    self._answer(int(failure))
                    return
                owner.take(dict(self.headers.items()), body)
                if failure == "drop-after":
                    self.close_connection = True
                    return
                self._answer(204)

            def _answer(self, status: int) -> None:
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", f"http://127.0.0.1:{owner.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        return Handler


@contextmanager
def hook_server(certificate: SiteCertificate | None = None) -> Iterator[HookServer]:
    """Run a receiver until the block ends."""
    server = HookServer(certificate)
    server.start()
    try:
        yield server
    finally:
        server.stop()
