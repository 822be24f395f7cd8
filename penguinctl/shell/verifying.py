"""Verify a session's recording, and say by which keys it is good and whose word those are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguinctl import known_keys, moments, ui
from penguinctl.device_keys import Vouching, of_session, vouched_by
from penguinctl.shell import recording
from penguinctl.shell.opening import order_of, session_of
from penguinctl.shell.receipts import recorded_chain
from penguinctl.trust_refresh import refreshed
from penguindome import keys
from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from penguinctl.app import App
    from penguindome.shell.transcript import Piece, Verified
    from penguindome.succession import HeldKey
    from penguindome.v1 import shell_pb2


@dataclass(frozen=True, slots=True)
class Checked:
    """A recording that was verified.

    Attributes:
        session: The session.
        pieces: Its pieces, opened.
        result: What they turned out to be.
        held: The keys that count as the device's, oldest first.
        vouching: Whose word the last of them is.
    """

    session: shell_pb2.Session
    pieces: list[Piece]
    result: Verified
    held: tuple[HeldKey, ...]
    vouching: Vouching

    def signers(self) -> list[HeldKey]:
        """Return the keys that signed it."""
        return [one for one in self.held if one.spki in self.result.signers]


def checked(app: App, session_id: str) -> Checked:
    """Fetch a recording and verify it."""
    response = session_of(app, session_id)
    session = response.session
    offered = of_session(app, response, session.device_id)
    vouching = vouched_by(offered, refreshed(app).current())
    held = known_keys.trusted(app, offered, vouching)
    if held[-1].spki != offered.present:
        vouching = Vouching()
        ui.note(
            f"WARNING: the server names another key of {printable(session.hostname)} than the one"
            " that you know, and nothing proves that it follows it. It counts for nothing here."
        )
    pieces = [recording.opened(one) for one in recording.pieces(app, session.order_id)]
    result = recording.verified(response, order_of(response), pieces, held)
    return Checked(session, pieces, result, held, vouching)


def against_receipt(app: App, one: Checked) -> str:
    """Compare with the hash in the device's receipt of the session; returns what is wrong."""
    said = recorded_chain(app, one.session.order_id, one.held)
    if said in (None, "", one.result.chain.hex()):
        return ""
    return "the device's receipt names another recording"


def keys_json(one: Checked) -> dict[str, Any]:
    """Return for programs which keys signed, and whose word they are."""
    return {
        "keys": [
            {
                "fingerprint": keys.fingerprint(key.spki),
                "until_time": None if key.until_unix_ms is None else moments.iso(key.until_unix_ms),
            }
            for key in one.signers()
        ],
        "approved_by": list(one.vouching.names) if one.vouching.is_certain else [],
        "renewals": one.vouching.renewals,
    }


def keys_words(app: App, one: Checked) -> Iterator[str]:
    """Yield the same for people."""
    for key in one.signers():
        if key.until_unix_ms is None:
            yield "Signed with the key that the device has now."
        else:
            until = moments.local(key.until_unix_ms, app.now)
            yield f"Signed with a key that the device had until {until}, as its keys prove."
    known = known_keys.recall(app, one.session.device_id)
    if one.vouching.is_certain:
        yield f"That these are its keys: approved by {', '.join(one.vouching.names)}."
    elif known is not None and known.is_certain:
        yield "That these are its keys, you made sure of at a session."
    else:
        yield "That these are its keys, only the server says."
