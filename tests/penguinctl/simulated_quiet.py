"""How the simulated server keeps quiet about issues and devices."""

from __future__ import annotations

from penguindome.errors import InvalidInput
from penguindome.v1 import device_pb2, issue_pb2


class Snoozing:
    """Belongs to the simulated service of issues, which has its `state`."""

    def _open(self, request):
        if len(request.issue_ids) > 1000:
            raise InvalidInput("more than 1000 issues at once")
        return [
            i for i in self.state.issues if i.issue_id in request.issue_ids and i.state == "open"
        ]

    def AuditDevices(self, request, context):  # noqa: N802
        return issue_pb2.AuditDevicesResponse(
            devices=len(self.state.picked(request.selectors)),
            opened=[item for item in self.state.issues if item.state == "open"],
            closed=[item for item in self.state.issues if item.state == "closed"],
            standing=[item for item in self.state.issues if item.state == "open"],
            held_back=self.state.held_back,
        )

    def SnoozeIssues(self, request, context):  # noqa: N802
        found = self._open(request)
        for item in found:
            item.snoozed_until_unix_ms = request.until_unix_ms
            item.snoozed_by, item.snooze_reason = "alice", request.reason
            item.quiet = "snoozed"
        return issue_pb2.SnoozeIssuesResponse(snoozed=found)

    def UnsnoozeIssues(self, request, context):  # noqa: N802
        found = [item for item in self._open(request) if item.snoozed_until_unix_ms]
        for item in found:
            item.snoozed_until_unix_ms, item.quiet = 0, ""
        return issue_pb2.UnsnoozeIssuesResponse(unsnoozed=found)


class Suspending:
    """Belongs to the simulated service of devices, which has its `state`."""

    def _turn(self, ids, *, suspended):
        found = [d for d in self.state.devices if d.device_id in ids and d.suspended != suspended]
        for device in found:
            device.suspended = suspended
        return [device.device_id for device in found]

    def SuspendDevices(self, request, context):  # noqa: N802
        changed = self._turn(request.device_ids, suspended=True)
        for name in changed:
            device = self.state.one(name)
            device.held_by, device.held_reason = "alice", request.reason
        return device_pb2.SuspendDevicesResponse(device_ids=changed)

    def UnsuspendDevices(self, request, context):  # noqa: N802
        changed = self._turn(request.device_ids, suspended=False)
        return device_pb2.UnsuspendDevicesResponse(device_ids=changed)
