"""Withholding roles from callers outside the networks that the roles are limited to."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.ranges import clean_ranges, read_ranges, withheld, within
from penguind.peers import peer_address
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from penguind.caller import Caller
    from penguind.domain.ranges import Network
    from penguind.store.role_ranges import RoleRangeStore
    from penguindome.times import Clock

_FRESH = timedelta(seconds=2)


class RoleRanges:
    """The roles' networks, read again after two seconds."""

    def __init__(self, store: RoleRangeStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: Mapping[str, Sequence[Network]] = {}
        self._read_time: datetime | None = None

    async def limited(self, who: Caller) -> Caller:
        """Return a caller without the roles that its address may not use."""
        if who.kind != "operator":
            return who
        away = withheld(who.roles, await self._current(), peer_address(who.peer))
        return replace(who, roles=who.roles - away, withheld=away) if away else who

    async def put(
        self, role: str, ranges: Sequence[str], who: Caller, *, lock_out_self: bool
    ) -> tuple[str, ...]:
        """Set a role's networks and return them; none lifts the limit.

        Raises:
            InvalidInput: naming what is no network.
            PreconditionFailed: the caller would lose the role, and did not ask for that.
        """
        cleaned = clean_ranges(ranges)
        address = peer_address(who.peer)
        inside = not cleaned or within(address, read_ranges(cleaned))
        if role in who.roles | who.withheld and not inside and not lock_out_self:
            raise PreconditionFailed(
                f"you call from {address}, which is outside: you would lose the role {role}",
                code="locked-out",
                subject=role,
                remedy="add your own network, or say that you want this: --lock-out-self",
            )
        await self._store.put(role, cleaned)
        self._read_time = None
        return cleaned

    async def _current(self) -> Mapping[str, Sequence[Network]]:
        now = self._clock()
        if self._read_time is None or not now - _FRESH <= self._read_time <= now:
            found = await self._store.all()
            self._known = {role: read_ranges(ranges) for role, ranges in found.items()}
            self._read_time = now
        return self._known
