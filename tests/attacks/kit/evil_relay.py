"""A real penguind that was taken over and meddles with the sessions that it relays.

It is run as a program, with a file in PD_EVIL that says what to do: a JSON object with `how`, and
for frames `to` ("device" or "operator") and `kind`. Frames of that kind are met by it while the
file is there. What it does to answers: it puts keys of its own in their place. With "own device
key" it says of each device that it has another key by now, and answers with that one; with "own
device key, own proof" it says that the device's key led to it, too; with "own device key, late" it
says so only once there is a session.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

from penguind.cli import main
from penguind.services.device import DeviceService
from penguind.services.shell import ShellService
from penguind.shells import live
from penguindome import keys
from penguindome.framing import frame
from penguindome.shell.answer import Answer, SealedAnswer, seal_answer
from penguindome.shell.sealing import Ephemeral
from penguindome.strict_json import canonical_json
from penguindome.v1 import succession_pb2

RULES = Path(os.environ.get("PD_EVIL", "/nonexistent"))
_HEAD_BYTES = 9
_HONEST_KEYS = DeviceService.GetDeviceKeys
_HONEST_SESSION = ShellService.GetSession
_held: dict[str, list[live.Frame]] = {}
_DEVICE_KEY = "own device key"
_LATE = "own device key, late"
_own: list[bytes] = []
_first_answers: list[live.Answered] = []


def rule() -> dict[str, Any]:
    """Return what to do now; nothing while there is no such file."""
    try:
        value = json.loads(RULES.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return dict(value)


def meddled(session: str, frame: live.Frame, how: str) -> list[live.Frame]:
    """Return what is sent in place of a frame."""
    data = frame.data
    instead = {
        "repeat": [data, data],
        "flip": [data[:-1] + bytes([data[-1] ^ 1])],
        "kind": [data[:8] + bytes([data[8] ^ 3]) + data[9:]],
        "cut": [data[: len(data) // 2]],
        "short": [data[:5], data],
        "inject": [data[:_HEAD_BYTES] + os.urandom(40), data],
    }
    if how in instead:
        return [live.Frame(one) for one in instead[how]]
    held = _held.setdefault(session, [])
    held.append(frame)
    if len(held) == 1:
        return []
    # The second one: alone after the first was dropped, or before it.
    return [frame] if how == "drop" else [frame, held[0]]


def forged(answer: live.Answered, how: str) -> live.Answered:
    """Return what is sent in place of a device's answer."""
    said = json.loads(answer.payload)
    if how == "another session's answer":
        _first_answers.append(answer)
        return replace(_first_answers[0], count=answer.count)
    if how == "own key, unsigned":
        said["session_key"] = _key64()
        return replace(answer, payload=canonical_json(said))
    if how == "own key, own signature" or how.startswith(_DEVICE_KEY):
        made = Answer(
            fleet=said["fleet"],
            device_id=said["device_id"],
            order_id=said["order_id"],
            order_hash=said["order_hash"],
            session_key=Ephemeral().public,
        )
        sealed: SealedAnswer = seal_answer(made, _own[0])
        return replace(answer, payload=sealed.payload, signature=sealed.signature)
    return answer


def _key64() -> str:
    return base64.b64encode(Ephemeral().public).decode()


async def evil_session(service: ShellService, request: Any, context: Any) -> Any:
    """Return a session whose device has our key by now, and perhaps a proof of our own for it."""
    response = await _HONEST_SESSION(service, request, context)
    how = rule().get("how", "")
    if how.startswith(_DEVICE_KEY):
        fleet = json.loads(response.order.payload)["fleet"]
        if proof := _own_proof(how, fleet, response.session.device_id, response.device_key):
            response.successions.insert(0, proof)
        response.device_key = keys.key_spki(_own[0])
    return response


async def evil_keys(service: DeviceService, request: Any, context: Any) -> Any:
    """Return the same of devices, unless we do it only once there is a session."""
    response = await _HONEST_KEYS(service, request, context)
    how = rule().get("how", "")
    if how.startswith(_DEVICE_KEY) and how != _LATE:
        for one in response.devices:
            fleet = json.loads(one.approval.payload)["fleet"]
            if proof := _own_proof(how, fleet, one.device_id, one.public_key):
                one.successions.insert(0, proof)
            one.public_key = keys.key_spki(_own[0])
    return response


def _own_proof(
    how: str, fleet: str, device_id: str, former: bytes
) -> succession_pb2.KeySuccession | None:
    """Return what we can make without the device's key: both signatures are ours."""
    if not how.endswith("own proof"):
        return None
    payload = canonical_json(
        {
            "fleet": fleet,
            "device_id": device_id,
            "former": base64.b64encode(former).decode(),
            "following": base64.b64encode(keys.key_spki(_own[0])).decode(),
            "time_unix_ms": 1,
        }
    )
    signatures = {
        f"{side}_signature": keys.sign(_own[0], frame(f"succession-{side}", payload))
        for side in ("former", "following")
    }
    return succession_pb2.KeySuccession(payload=payload, **signatures)


def install() -> None:
    """Meddle from now on."""
    _own.append(keys.generate_key())
    ShellService.GetSession = evil_session  # type: ignore[method-assign]
    DeviceService.GetDeviceKeys = evil_keys  # type: ignore[method-assign]
    to_device, to_operator = live.LiveSession._tell_device, live.LiveSession._tell_operator

    def meddling(honest: Callable[[Any, Any], None], end: str) -> Callable[[Any, Any], None]:
        def tell(session: live.LiveSession, message: live.Message) -> None:
            asked = rule()
            if isinstance(message, live.Answered):
                honest(session, forged(message, asked.get("how", "")))
            elif (
                isinstance(message, live.Frame)
                and asked.get("to") == end
                and message.data[8] == asked["kind"]
            ):
                for one in meddled(session.order_id, message, asked["how"]):
                    honest(session, one)
            elif isinstance(message, live.Acknowledged) and asked.get("how") == "acknowledge":
                honest(session, live.Acknowledged(message.count + 1000))
            else:
                honest(session, message)

        return tell

    live.LiveSession._tell_device = meddling(to_device, "device")  # type: ignore[method-assign]
    live.LiveSession._tell_operator = meddling(to_operator, "operator")  # type: ignore[method-assign]


if __name__ == "__main__":
    install()
    sys.exit(main())
