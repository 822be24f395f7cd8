"""DeviceService: devices, as operators see and change them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguind.caller import caller
from penguind.domain.device import STATES
from penguind.presence import CollectNow
from penguind.services.convert_device import device_message, envelope_from, keys_message
from penguind.services.convert_output import output_message
from penguindome.errors import InvalidInput
from penguindome.ids import new_ulid
from penguindome.v1 import device_pb2 as pb
from penguindome.v1.device_pb2_grpc import DeviceServiceServicer

if TYPE_CHECKING:
    from penguind.directory import Directory
    from penguind.domain.device import DeviceState
    from penguind.identity.blocking import Blocking
    from penguind.identity.custody import Custody
    from penguind.identity.key_history import KeyHistory
    from penguind.presence import Presence
    from penguind.store.devices import DeviceStore
    from penguind.suspension import Suspensions
    from penguindome.times import Clock

_PLUGINS_ALLOWED = 256
_KEYS_ALLOWED = 32


class DeviceService(DeviceServiceServicer):
    """Serves operators."""

    def __init__(
        self,
        *,
        directory: Directory,
        custody: Custody,
        blocking: Blocking,
        suspensions: Suspensions,
        presence: Presence,
        devices: DeviceStore,
        history: KeyHistory,
        clock: Clock,
    ) -> None:
        self._directory = directory
        self._custody = custody
        self._blocking = blocking
        self._suspensions = suspensions
        self._presence = presence
        self._devices = devices
        self._history = history
        self._clock = clock

    async def ListDevices(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListDevicesRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ListDevicesResponse:
        """Return devices that the terms pick."""
        states = _states(request.states)
        entries = await self._directory.list(request.selectors, states)
        return pb.ListDevicesResponse(
            devices=[
                device_message(
                    entry.device,
                    connected=self._presence.connected(entry.device.device_id),
                    last_report_time=entry.last_report_time,
                    open_issues=entry.open_issues,
                    user_email=entry.user_email,
                    with_public_key=request.public_keys,
                )
                for entry in entries
            ]
        )

    async def GetDevice(  # noqa: N802 -- gRPC's
        self,
        request: pb.GetDeviceRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.GetDeviceResponse:
        """Return one device with its outputs."""
        found = await self._directory.details(request.device)
        device = found.entry.device
        return pb.GetDeviceResponse(
            device=device_message(
                device,
                connected=self._presence.connected(device.device_id),
                last_report_time=found.entry.last_report_time,
                open_issues=found.entry.open_issues,
                same_hardware=found.same_hardware,
                user_email=found.entry.user_email,
            ),
            outputs=[output_message(output, found.values) for output in found.outputs],
        )

    async def GetDeviceKeys(  # noqa: N802 -- gRPC's
        self,
        request: pb.GetDeviceKeysRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.GetDeviceKeysResponse:
        """Return devices' keys with what leads to them."""
        if len(request.device_ids) > _KEYS_ALLOWED:
            raise InvalidInput(f"at most {_KEYS_ALLOWED} devices at once", subject="device_ids")
        found = await self._devices.find(states=STATES, device_ids=request.device_ids)
        return pb.GetDeviceKeysResponse(
            devices=[
                keys_message(one, await self._history.leading_to(one))
                for one in sorted(found, key=lambda one: one.device_id)
            ]
        )

    async def ApproveDevice(  # noqa: N802 -- gRPC's
        self,
        request: pb.ApproveDeviceRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.ApproveDeviceResponse:
        """Let a waiting device in."""
        envelope = envelope_from(request.approval)
        await self._custody.approve(request.device_id, envelope, caller().name)
        return pb.ApproveDeviceResponse()

    async def RevokeDevice(  # noqa: N802 -- gRPC's
        self,
        request: pb.RevokeDeviceRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.RevokeDeviceResponse:
        """End a device's identity."""
        await self._custody.revoke(request.device_id, request.reason)
        return pb.RevokeDeviceResponse()

    async def DeleteDevice(  # noqa: N802 -- gRPC's
        self,
        request: pb.DeleteDeviceRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.DeleteDeviceResponse:
        """Remove a revoked device."""
        await self._custody.delete(request.device_id)
        return pb.DeleteDeviceResponse()

    async def LabelDevice(  # noqa: N802 -- gRPC's
        self,
        request: pb.LabelDeviceRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.LabelDeviceResponse:
        """Change a device's labels."""
        labels = await self._custody.label(request.device_id, request.add, request.remove)
        return pb.LabelDeviceResponse(labels=labels)

    async def SuspendDevices(  # noqa: N802 -- gRPC's
        self,
        request: pb.SuspendDevicesRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.SuspendDevicesResponse:
        """Have nobody told about devices until they report again."""
        changed = await self._suspensions.suspend(request.device_ids, caller().name, request.reason)
        return pb.SuspendDevicesResponse(device_ids=changed)

    async def UnsuspendDevices(  # noqa: N802 -- gRPC's
        self,
        request: pb.UnsuspendDevicesRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.UnsuspendDevicesResponse:
        """Have people told about devices again."""
        changed = await self._suspensions.unsuspend(request.device_ids)
        return pb.UnsuspendDevicesResponse(device_ids=changed)

    async def BlockDevice(  # noqa: N802 -- gRPC's
        self,
        request: pb.BlockDeviceRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.BlockDeviceResponse:
        """Cut a device off."""
        blocked = await self._blocking.block(request.device_id, caller().name, request.reason)
        return pb.BlockDeviceResponse(blocked=blocked)

    async def UnblockDevice(  # noqa: N802 -- gRPC's
        self,
        request: pb.UnblockDeviceRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.UnblockDeviceResponse:
        """Let a blocked device in again."""
        return pb.UnblockDeviceResponse(unblocked=await self._blocking.unblock(request.device_id))

    async def CollectDevice(  # noqa: N802 -- gRPC's
        self,
        request: pb.CollectDeviceRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.CollectDeviceResponse:
        """Ask a connected device to collect now."""
        if len(request.plugins) > _PLUGINS_ALLOWED:
            raise InvalidInput(f"at most {_PLUGINS_ALLOWED} plugins at once", subject="plugins")
        device = await self._directory.one(request.device_id)
        wish = CollectNow(tuple(request.plugins), new_ulid(self._clock()))
        return pb.CollectDeviceResponse(delivered=self._presence.push(device.device_id, wish))


def _states(names: Any) -> tuple[DeviceState, ...]:
    unknown = [name for name in names if name not in STATES]
    if unknown:
        raise InvalidInput(
            f"unknown state {unknown[0][:64]!r}",
            subject="states",
            remedy=f"the states are {', '.join(STATES)}",
        )
    return tuple(names) or ("pending", "active", "blocked")
