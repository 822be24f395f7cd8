"""The HTTP endpoint that serves metrics in the OpenMetrics text format."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from prometheus_client import start_http_server

from penguindome.errors import PreconditionFailed
from penguindome.logs import logger

if TYPE_CHECKING:
    from threading import Thread
    from wsgiref.simple_server import WSGIServer

    from penguind.config_metrics import MetricsSettings
    from penguind.metrics import Metrics

log = logger("penguind.metrics")

_GOODBYE_SECONDS = 5.0


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


def _start(settings: MetricsSettings, metrics: Metrics) -> tuple[WSGIServer, Thread]:
    try:
        return start_http_server(
            settings.port,
            settings.address,
            metrics.registry,
            certfile=str(settings.certificate) if settings.certificate else None,
            keyfile=str(settings.key) if settings.key else None,
        )
    except OSError as error:
        raise PreconditionFailed(
            f"metrics cannot be served on {settings.address} port {settings.port}: "
            f"{error.strerror or error}",
            code="metrics-endpoint",
            subject="metrics",
            remedy="set another metrics.address, metrics.port or metrics.certificate; port 0 for "
            "none",
        ) from error
