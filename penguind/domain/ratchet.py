"""The ratchet: how two holders of one device's key are told from one.

Each check-in hands out a fresh value, which the device says is on its disk before it goes on. One
holder can only ever come back with one of two values: the newest that it confirmed, since all
later welcomes were lost to it, or the newest that was handed out, since it kept that one and its
confirmation was lost. Whoever presents anything else was not the last one to be here.

Until a device has confirmed a value, it may present anything: its agent may be too old to know.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

VALUE_BYTES = 16


@dataclass(frozen=True, slots=True)
class Ratchet:
    """What the server knows of one device's values.

    `base` is the newest value that the device is known to hold, `offer` the newest that was handed
    out after it; `proven` tells whether any was ever confirmed. `turn` counts the changes, so that
    of two at once only one is stored. `epoch` is the database's: a restored one knows old values.
    """

    epoch: int
    turn: int = 0
    base: bytes = b""
    offer: bytes = b""
    proven: bool = False

    def checked_in(self, presented: bytes, fresh: bytes) -> Ratchet | None:
        """Return the ratchet after a check-in that hands out `fresh`; None: two holders."""
        if presented and presented == self.offer:
            return replace(self, turn=self.turn + 1, base=presented, offer=fresh)
        if presented == self.base or not self.proven:
            return replace(self, turn=self.turn + 1, offer=fresh)
        return None

    def confirmed(self, value: bytes) -> Ratchet | None:
        """Return the ratchet once the device holds a value; None where that changes nothing.

        A late confirmation of a former value proves nothing: the next check-in will tell.
        """
        if not value or value != self.offer:
            return None
        return replace(self, turn=self.turn + 1, base=value, offer=b"", proven=True)

    def looked_at(self) -> Ratchet:
        """Return the same as a further turn: who can store it has seen the newest."""
        return replace(self, turn=self.turn + 1)


def current(held: Ratchet | None, epoch: int) -> Ratchet:
    """Return what holds in an epoch: nothing that was known in a former one."""
    if held is None:
        return Ratchet(epoch)
    return held if held.epoch == epoch else Ratchet(epoch, held.turn)
