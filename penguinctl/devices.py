"""Which device an operator means.

A hostname is a label that two devices may share. Whoever wants to do something that cannot be
undone has to name exactly one device, else nothing happens and the candidates are listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguinctl import wire
from penguindome.errors import InvalidInput, NotFound, PreconditionFailed
from penguindome.ids import is_device_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from penguinctl.app import App
    from penguindome.v1 import device_pb2

ALL_STATES = ("pending", "active", "blocked", "revoked")
_LISTED = 20


def find(app: App, selectors: Sequence[str], states: Sequence[str]) -> list[device_pb2.Device]:
    """Return the devices that selectors pick, by hostname."""
    request = wire.device_pb2.ListDevicesRequest(selectors=selectors, states=states)
    return list(app.call("device.ListDevices", request).devices)


def find_some(
    app: App, selectors: Sequence[str], states: Sequence[str] = ("active",)
) -> list[device_pb2.Device]:
    """Return the devices in some states that selectors pick.

    Raises:
        NotFound: There are none.
    """
    found = find(app, selectors, states)
    if not found:
        raise NotFound(
            f"no {' or '.join(states)} device matches",
            subject=" ".join(selectors),
            remedy="See `penguinctl device list`",
        )
    return found


def find_one(app: App, term: str, *states: str) -> device_pb2.Device:
    """Return the one device that an id or a hostname names, in the first state that any is in.

    Raises:
        InvalidInput: The term could name several devices.
        NotFound: No device has that name.
        PreconditionFailed: The device is in another state, or several have that hostname.
    """
    kind, _, name = term.rpartition(":")
    if kind not in ("", "id", "name") or not name or set(name) & set("*?["):
        raise InvalidInput(
            "this could mean several devices",
            subject=term,
            remedy="Give one device's id or its exact hostname",
        )
    by_id = kind == "id" or (kind == "" and is_device_id(name))
    try:
        found = find(app, [f"{'id' if by_id else 'name'}:{name}"], ALL_STATES)
    except NotFound:
        found = []
    named = [item for item in found if _is_named(item, name, by_id=by_id)]
    return _the_one(term, states, named)


def _is_named(item: device_pb2.Device, name: str, *, by_id: bool) -> bool:
    if by_id:
        return item.device_id == name
    return item.hostname.lower() == name.lower()


def _the_one(term: str, states: Sequence[str], named: list[device_pb2.Device]) -> device_pb2.Device:
    if not named:
        raise NotFound("no such device", subject=term, remedy="See `penguinctl device list`")
    by_state = [[item for item in named if item.state == state] for state in states]
    fitting: list[device_pb2.Device] = next(filter(None, by_state), [])
    if not fitting:
        raise PreconditionFailed(
            _others(states, named),
            subject=term,
            code="wrong-state",
            remedy="Nothing was done; see `penguinctl device show`",
        )
    if len(fitting) > 1:
        ids = ", ".join(item.device_id for item in fitting[:_LISTED])
        raise PreconditionFailed(
            f"{len(fitting)} {fitting[0].state} devices have that name: {ids}",
            subject=term,
            code="ambiguous-device",
            remedy="Nothing was done; give the id of the one that you mean",
        )
    return fitting[0]


def _others(states: Sequence[str], named: Sequence[device_pb2.Device]) -> str:
    """Return why none of those who have the name is meant."""
    wanted = " or ".join(states)
    if len(named) == 1:
        return f"the device {named[0].device_id} is {named[0].state}, not {wanted}"
    known = ", ".join(f"{item.device_id} is {item.state}" for item in named[:_LISTED])
    return f"no {wanted} device has that name: {known}"
