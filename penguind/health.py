"""Health and reflection, as gRPC's own tools ask for them. Both need a certificate here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped,unused-ignore]
from grpc_health.v1.health import aio as health_aio  # type: ignore[import-untyped,unused-ignore]
from grpc_reflection.v1alpha import (  # type: ignore[import-untyped,unused-ignore]
    reflection,
    reflection_pb2,
)

from penguind.caller import caller, identity_ended
from penguind.listeners import Served

if TYPE_CHECKING:
    from collections.abc import Iterable

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"]
_REFLECTION = reflection_pb2.DESCRIPTOR.services_by_name["ServerReflection"]


class _Servicer(health_aio.HealthServicer):  # type: ignore[misc,unused-ignore]
    """gRPC's own, whose watches end with the identity of who watches."""

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 -- gRPC's
        """Tell each change until the caller hangs up, or its identity ends.

        Raises:
            Unauthenticated: the identity ended.
        """
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(super().Watch(request, context))
            await caller().ended.wait()
            watching.cancel()
        raise identity_ended()


class Health:
    """Says whether the server serves: yes from `start` to `stop`."""

    def __init__(self) -> None:
        self._servicer = _Servicer()

    async def start(self) -> None:
        """Answer SERVING from now on."""
        await self._servicer.set("", health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Answer NOT_SERVING from now on, to whoever watches too."""
        await self._servicer.enter_graceful_shutdown()

    def services(self, names: Iterable[str]) -> list[Served]:
        """Return health and reflection; `names` are the services that reflection shows."""
        shown = (*names, _HEALTH.full_name, _REFLECTION.full_name)
        return [
            Served(
                _HEALTH,
                lambda server: health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server),
            ),
            Served(
                _REFLECTION,
                lambda server: reflection.enable_server_reflection(shown, server),
            ),
        ]
