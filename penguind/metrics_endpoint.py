"""The HTTP endpoint that serves metrics in the OpenMetrics text format."""

from __future__ import annotations

import asyncio
import socket
import ssl
import sys
from socketserver import ThreadingMixIn
from threading import Thread
from typing import TYPE_CHECKING, NoReturn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from prometheus_client import make_wsgi_app

from penguindome.errors import PreconditionFailed
from penguindome.logs import logger

if TYPE_CHECKING:
    from pathlib import Path

    from penguind.config_metrics import MetricsSettings
    from penguind.metrics import Metrics

log = logger("penguind.metrics")

_GOODBYE_SECONDS = 5.0
_PATIENCE_SECONDS = 10.0


class MetricsEndpoint:
    """Serves until its `run` is cancelled; bound when it is made.

    Raises:
        PreconditionFailed: the port or the certificate cannot be used.
    """

    def __init__(self, settings: MetricsSettings, metrics: Metrics) -> None:
        self._server, self._thread = _start(settings, metrics)
        log.info("Metrics are served on {}, port {}", settings.address, settings.port)

    async def run(self) -> NoReturn:
        """Wait to be cancelled, and end the endpoint."""
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.to_thread(self.close)
        raise asyncio.CancelledError

    def close(self) -> None:
        """End the endpoint."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_GOODBYE_SECONDS)


class _Handler(WSGIRequestHandler):
    """Answers one request; a caller that says nothing loses its connection."""

    def setup(self) -> None:
        """Bound every wait for the caller, TLS's greeting among them."""
        super().setup()
        self.connection.settimeout(_PATIENCE_SECONDS)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- its name there
        """Log nothing: monitoring calls all the time."""


class _Server(ThreadingMixIn, WSGIServer):
    """One thread for each request."""

    daemon_threads = True

    def __init__(self, settings: MetricsSettings, metrics: Metrics) -> None:
        found = socket.getaddrinfo(
            settings.address, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self.address_family, *_, place = found[0]
        super().__init__((str(place[0]), settings.port), _Handler)
        self.set_app(make_wsgi_app(metrics.registry))

    def handle_error(self, request: object, client_address: object) -> None:  # noqa: ARG002 -- its name there
        """Say it quietly: who hangs up or speaks no TLS is no trouble of ours."""
        log.debug("Metrics for {}: {}", client_address, sys.exc_info()[1])


def _start(settings: MetricsSettings, metrics: Metrics) -> tuple[WSGIServer, Thread]:
    try:
        server = _Server(settings, metrics)
        try:
            if settings.certificate:
                _encrypt(server, settings.certificate, settings.key)
        except OSError:
            server.server_close()
            raise
    except OSError as error:
        raise PreconditionFailed(
            f"metrics cannot be served on {settings.address} port {settings.port}: "
            f"{error.strerror or error}",
            code="metrics-endpoint",
            subject="metrics",
            remedy="set another metrics.address, metrics.port or metrics.certificate; port 0 for "
            "none",
        ) from error
    thread = Thread(target=server.serve_forever, name="metrics endpoint", daemon=True)
    thread.start()
    return server, thread


def _encrypt(server: WSGIServer, certificate: Path, key: Path | None) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    # Each greeting on its caller's own thread: one that stalls would hold up all others.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
