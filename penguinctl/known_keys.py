"""The device keys that this penguinctl knows: what is said once, and what is refused.

A key is certain if an operator's approval leads to it, if one that was certain does, or if it was
accepted by its fingerprint. A certain key is given up for none that nobody proves: else whoever has
the server could put a key of their own in its place.
"""

from __future__ import annotations

import base64
import contextlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguinctl import ui
from penguinctl.device_keys import Vouching, vouched_by
from penguinctl.trust_refresh import refreshed
from penguindome import keys
from penguindome.display import printable
from penguindome.errors import Forbidden, InvalidInput, PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penguinctl.app import App
    from penguinctl.device_keys import OfferedKeys
    from penguindome.succession import HeldKey

FILE = "devices.json"


@dataclass(frozen=True, slots=True)
class Known:
    """The key that a device had at the last session.

    Attributes:
        fingerprint: The key's.
        spki: The key, DER; empty where a penguinctl of before noted only the fingerprint.
        is_certain: Whether it was more than the server's word.
    """

    fingerprint: str
    spki: bytes = b""
    is_certain: bool = False


def recall(app: App, device_id: str) -> Known | None:
    """Return the key that is known of a device."""
    value = _read(app).get(device_id)
    if isinstance(value, str):
        return Known(value)
    if not isinstance(value, dict):
        return None
    with contextlib.suppress(TypeError, KeyError, ValueError):
        spki = base64.b64decode(value["key"], validate=True)
        return Known(keys.fingerprint(spki), spki, value["certain"] is True)
    return None


def meet(
    app: App, hostname: str, offered: OfferedKeys, vouching: Vouching, *, accepted: str = ""
) -> None:
    """Say once for each key whose word it is that it is the device's, and remember it.

    Args:
        app: The running command.
        hostname: How the device is called.
        offered: Its key.
        vouching: Whose word it is.
        accepted: The fingerprint that the operator compared; "" for none.

    Raises:
        Forbidden: `key-unproven`: a certain key is known, and nothing leads from it to this one.
        InvalidInput: Another key than this one was accepted.
    """
    known = recall(app, offered.device_id)
    fingerprint = keys.fingerprint(offered.present)
    if accepted and accepted.lower() != fingerprint:
        raise InvalidInput(f"the key there has the fingerprint {fingerprint}", subject=accepted)
    if not accepted and _is_unproven(known, offered, vouching):
        raise _unproven(hostname, fingerprint)
    follows = known is not None and offered.renewals_since(known.fingerprint) is not None
    if not accepted and (known is None or known.fingerprint != fingerprint):
        for line in _words(printable(hostname), fingerprint, known, vouching, follows=follows):
            ui.note(line)
    was_certain = known is not None and known.is_certain and follows
    certain = bool(accepted) or vouching.is_certain or was_certain
    _remember(app, offered, Known(fingerprint, offered.present, certain), known)


def trusted(
    app: App, offered: OfferedKeys, vouching: Vouching | None = None
) -> tuple[HeldKey, ...]:
    """Return the keys whose signatures count as the device's, oldest first.

    They are those that led to the key which the server names; or, where nothing leads there from a
    key that is certain here, those that led to that one.
    """
    known = recall(app, offered.device_id)
    if known is None or not _is_unproven(known, offered, vouching or Vouching()):
        return offered.held
    if vouching is None and vouched_by(offered, refreshed(app).current()).renewals == 0:
        return offered.held
    return offered.leading_to(known.spki)


def _is_unproven(known: Known | None, offered: OfferedKeys, vouching: Vouching) -> bool:
    """Tell whether a certain key is known, and neither it nor an operator vouches for this one.

    An approval of a key before the known one does not suffice: who took a key that the device gave
    up long ago could have another one follow it.
    """
    if known is None or not known.is_certain or vouching.renewals == 0:
        return False
    return offered.renewals_since(known.fingerprint) is None


def _unproven(hostname: str, fingerprint: str) -> Forbidden:
    return Forbidden(
        f"the key of {printable(hostname)} is another than the one that you know, and nothing"
        " proves that it follows it",
        code="key-unproven",
        remedy=f"If penguin-agent status there shows it, give --accept-key {fingerprint}",
    )


def _words(
    name: str, fingerprint: str, known: Known | None, vouching: Vouching, *, follows: bool
) -> Iterator[str]:
    if known is not None and not follows:
        yield (
            f"The key of {name} is another than at your last session there, and nothing proves"
            " that it follows that one."
        )
    who = ", ".join(vouching.names)
    if vouching.renewals:
        times = "once" if vouching.renewals == 1 else f"{vouching.renewals:,} times"
        yield f"The key of {name}: approved by {who}, renewed {times} since, as its keys prove."
    elif not vouching.is_certain and follows:
        yield f"The key of {name} was renewed; the one of your last session signed for it."
    elif not vouching.is_certain:
        why = "no operator approved its key (penguinctl token create --approve has that done)"
        if who:
            why = (
                f"{who} approved an earlier key, and nothing proves that this one follows it, as"
                " of devices that renewed before there were such proofs"
            )
        yield f"Only the server says that this is {name}: {why}."
        yield f"To be sure, compare with penguin-agent status there: key fingerprint {fingerprint}"


def _remember(app: App, offered: OfferedKeys, new: Known, known: Known | None) -> None:
    if new == known:
        return
    entry = {"key": base64.b64encode(new.spki).decode(), "certain": new.is_certain}
    app.folder.write(FILE, json.dumps({**_read(app), offered.device_id: entry}).encode())


def _read(app: App) -> dict[str, Any]:
    """Return what is noted; a file that cannot be read means that nothing is."""
    if not app.folder.has(FILE):
        return {}
    with contextlib.suppress(PenguinDomeError, ValueError):
        value = json.loads(app.folder.read(FILE))
        if isinstance(value, dict):
            return value
    return {}
