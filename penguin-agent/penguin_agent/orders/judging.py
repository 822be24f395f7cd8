"""Judge envelopes: what an order has to be before it is acted on, in the order of the rules.

1. sizes, signatures over the received bytes, threshold, form, fleet, kind, targets, times, floor
(`penguindome.orders.opening`), the agent's version; 2. this device's hostname; 3. its own settings,
which only take away; 4. known ids, never acted on again; 5. the birth of the memory; 6. numbers of
releases, which only grow.
Trust: the envelope is whatever the server handed over.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.orders.acts import Outcome
from penguin_agent.orders.records import summary_of
from penguin_agent.orders.store import sha256
from penguindome.envelope import CLOCK_TOLERANCE
from penguindome.errors import Forbidden, InvalidInput, PenguinDomeError
from penguindome.orders.kinds import kind_of
from penguindome.orders.opening import Opened, hostname_of, open_order, read_body
from penguindome.payload import Payload, read_payload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from penguin_agent.config import Allow
    from penguin_agent.orders.store import OrderStore
    from penguindome.envelope import Envelope
    from penguindome.trust_document import TrustDocument

log = Logger(__name__)

PARALLEL = 2
# What is found before the signatures are known to be good.
UNSIGNED = frozenset({"bad-envelope", "not-signed", "not-supported"})
# What a newer trust document may put right.
_CURABLE = frozenset({"not-signed", "trust-expired"})


@dataclass(frozen=True, slots=True)
class Owner:
    """Who this device is, and the agent's version."""

    fleet: str
    device_id: str
    hostname: Callable[[], str]
    version: str = "0"


class Refusal(Exception):  # noqa: N818 -- an answer, not a failure
    """Why an order is not acted on.

    Attributes:
        outcome: What its receipt says.
        payload: What it says, if that could be read; its signatures may be bad.
        signed: Whether enough operators signed it.
        summary: What it wants, if that is known.
    """

    def __init__(
        self, outcome: Outcome, payload: Payload | None, *, signed: bool, summary: str = ""
    ) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome
        self.payload = payload
        self.signed = signed
        self.summary = summary


class Judge:
    """Judges orders for one device.

    Args:
        owner: The device.
        trust: Returns the newest trust document; None if there is none.
        renew_trust: Fetches trust documents; tells whether there is a newer one than a version.
        allow: The device's own settings.
        now: The device's clock.
    """

    def __init__(
        self,
        owner: Owner,
        *,
        trust: Callable[[], TrustDocument | None],
        renew_trust: Callable[[int], Awaitable[bool]],
        allow: Allow,
        now: Callable[[], datetime],
    ) -> None:
        self._owner = owner
        self._trust = trust
        self._renew_trust = renew_trust
        self._allow = allow
        self._now = now
        self._slots = asyncio.Semaphore(PARALLEL)

    async def open(self, envelope: Envelope) -> Opened:
        """Apply the rules 1 to 3.

        Raises:
            Refusal: It is not for this device, not now, or not by those who may.
        """
        try:
            opened = await self._open(envelope)
        except Forbidden as error:
            # An order by a new operator may be here before the document that names them.
            version = trust.version if (trust := self._trust()) is not None else 0
            if error.code not in _CURABLE or not await self._renew_trust(version):
                raise _refusal(envelope, error) from None
            try:
                opened = await self._open(envelope)
            except Forbidden as still:
                raise _refusal(envelope, still) from None
        self._check_here(opened)
        return opened

    def remember(self, opened: Opened, envelope: Envelope, store: OrderStore) -> None:
        """Apply the rules 5 and 6; the id is new.

        Raises:
            Refusal: It may have been done before, or is older than what was done.
        """
        birth = store.birth(self._now())
        # The clock of who wrote what was done before may have been ahead of this one.
        if birth.lost and opened.payload.issued_time <= birth.time + CLOCK_TOLERANCE:
            raise _signed(
                opened, "memory-lost", "this device lost its memory since, and may have done it"
            )
        if opened.payload.seq is None:
            return
        number, digest = store.highest(self._owner.fleet)
        if opened.payload.seq == number and sha256(envelope.payload) != digest:
            raise _signed(opened, "equivocation", f"there is another release {number}")
        if opened.payload.seq <= number:
            raise _signed(opened, "old-number", f"release {number} came before it")

    def check_again(self, opened: Opened) -> Outcome | None:
        """Return why an order that was accepted may no longer begin; None if it may."""
        if self._now() >= opened.payload.expires_time:
            return Outcome("expired", "it expired before it could begin", "expired")
        trust = self._trust()
        if trust is not None and opened.payload.issued_time < trust.ticket_floor_time:
            return Outcome("refused", "it was voided by a newer trust document", "voided")
        return None

    async def _open(self, envelope: Envelope) -> Opened:
        trust = self._trust()
        if trust is None:
            raise Forbidden("this device has no trust document", code="not-signed")
        async with self._slots:
            opened = await asyncio.to_thread(
                open_order,
                envelope,
                trust=trust,
                fleet=self._owner.fleet,
                device_id=self._owner.device_id,
                now=self._now(),
            )
        if trust.minimum_agent and _numbers(self._owner.version) < _numbers(trust.minimum_agent):
            raise Forbidden(
                f"the trust document lets no agent older than {trust.minimum_agent} act",
                code="agent-too-old",
                remedy="Update penguin-agent",
            )
        return opened

    def _check_here(self, opened: Opened) -> None:
        shown, own = hostname_of(opened, self._owner.device_id), self._owner.hostname()
        if shown is not None and shown != own:
            raise _signed(
                opened,
                "hostname-differs",
                f"the operator was shown the hostname {shown}, but this is {own}",
            )
        if opened.kind.allow and not getattr(self._allow, opened.kind.allow):
            raise _signed(
                opened, "not-allowed", f"the settings of this device forbid {opened.kind.allow}"
            )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"[0-9]+", version.partition("+")[0])))


def _signed(opened: Opened, code: str, reason: str) -> Refusal:
    return Refusal(
        Outcome("refused", reason, code),
        opened.payload,
        signed=True,
        summary=summary_of(opened.body),
    )


def _refusal(envelope: Envelope, error: PenguinDomeError) -> Refusal:
    try:
        payload = read_payload(envelope.payload)
    except InvalidInput:
        payload = None
    state = "expired" if error.code == "expired" else "refused"
    outcome = Outcome(state, error.reason, error.code)
    return Refusal(outcome, payload, signed=error.code not in UNSIGNED)


def reopened(envelope: Envelope) -> Opened:
    """Return an order that was judged before it was written down, without judging it again.

    Raises:
        Refusal: This version cannot read it.
    """
    try:
        payload = read_payload(envelope.payload)
        return Opened(kind_of(payload.kind), payload, read_body(payload), frozenset())
    except PenguinDomeError as error:
        outcome = Outcome("interrupted", f"this version cannot read it: {error.reason}", error.code)
        raise Refusal(outcome, None, signed=True) from None
