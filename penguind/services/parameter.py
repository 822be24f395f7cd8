"""ParameterService: values that operators set on devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.caller import caller
from penguindome.times import to_unix_ms
from penguindome.v1 import parameter_pb2 as pb
from penguindome.v1.parameter_pb2_grpc import ParameterServiceServicer

if TYPE_CHECKING:
    from penguind.parameters import Parameters, Shown


class ParameterService(ParameterServiceServicer):
    """Serves operators."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    async def ListParameters(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListParametersRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListParametersResponse:
        """Return what is set, also on devices that were deleted since."""
        found = await self._parameters.find(request.selectors, request.names)
        return pb.ListParametersResponse(parameters=map(_message, found))

    async def SetParameter(  # noqa: N802 -- gRPC's
        self,
        request: pb.SetParameterRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.SetParameterResponse:
        """Set a parameter; linking changes all devices of the group."""
        change = await self._parameters.set(
            request.device_id, request.name, request.values, caller().name
        )
        return pb.SetParameterResponse(
            changed=change.changed,
            before=change.before,
            parameters=map(_message, change.parameters),
        )

    async def UnsetParameter(  # noqa: N802 -- gRPC's
        self,
        request: pb.UnsetParameterRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.UnsetParameterResponse:
        """Unset a parameter, also of a deleted device."""
        changed = await self._parameters.unset(request.device_id, request.name, caller().name)
        return pb.UnsetParameterResponse(changed=changed)


def _message(shown: Shown) -> pb.Parameter:
    parameter = shown.parameter
    return pb.Parameter(
        device_id=parameter.device_id,
        hostname=parameter.hostname,
        name=parameter.name,
        values=parameter.values,
        hostnames=shown.hostnames,
        set_by=parameter.set_by,
        set_unix_ms=to_unix_ms(parameter.set_time),
        device_deleted=shown.device_deleted,
    )
