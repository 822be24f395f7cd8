"""What the simulated server says of devices' keys."""

from penguindome.v1 import device_pb2


class KeyShowing:
    """A part of the device service: the same proofs for every device."""

    def GetDeviceKeys(self, request, context):  # noqa: N802
        return device_pb2.GetDeviceKeysResponse(
            devices=[
                device_pb2.DeviceKeys(
                    device_id=one.device_id,
                    public_key=one.public_key,
                    successions=self.state.successions,
                )
                for one in self.state.devices
                if one.device_id in request.device_ids
            ]
        )
