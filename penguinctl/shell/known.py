"""Say once for each key whose word it is that it is a device's; what was said is remembered.

Devices renew their keys every few days, and an operator approves only the first one. Who is told
the same at every session reads it no more.
"""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING

from penguinctl import ui
from penguindome import keys
from penguindome.display import printable
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from penguinctl.app import App
    from penguinctl.shell.vouching import Vouching

FILE = "devices.json"


def tell(app: App, device_id: str, hostname: str, spki: bytes, vouching: Vouching) -> None:
    """Say what is not certain about a device's key, unless it was said before."""
    known = _known(app)
    fingerprint = keys.fingerprint(spki)
    before = known.get(device_id)
    if before == fingerprint:
        return
    if not vouching.is_certain:
        for line in _words(hostname, fingerprint, vouching, is_first=before is None):
            ui.note(line)
    app.folder.write(FILE, json.dumps({**known, device_id: fingerprint}).encode())


def _words(hostname: str, fingerprint: str, vouching: Vouching, *, is_first: bool) -> list[str]:
    if vouching.names:
        why = f"{', '.join(vouching.names)} approved its first key, and it has renewed that since"
    else:
        why = "no operator approved its key (penguinctl token create --approve has that done)"
    name = printable(hostname)
    lines = [
        f"Only the server says that this is {name}: {why}.",
        f"To be sure, compare with penguin-agent status there: key fingerprint {fingerprint}",
    ]
    if not is_first:
        lines.insert(0, f"The key of {name} is another than at your last session there.")
    return lines


def _known(app: App) -> dict[str, str]:
    """Return what was said; a file that cannot be read means that nothing was."""
    if not app.folder.has(FILE):
        return {}
    with contextlib.suppress(PenguinDomeError, ValueError):
        value = json.loads(app.folder.read(FILE))
        if isinstance(value, dict):
            return {str(key): str(one) for key, one in value.items()}
    return {}
