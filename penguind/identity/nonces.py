"""Single-use nonces that proofs of possession are bound to."""

from __future__ import annotations

import secrets
from collections import OrderedDict
from datetime import datetime, timedelta

from penguindome.errors import Unauthenticated

LIFETIME = timedelta(seconds=60)
_KEPT = 100_000
_SIZE = 32


class Nonces:
    """Hands out nonces and takes each back once; the oldest go first when there are too many."""

    def __init__(self) -> None:
        self._given: OrderedDict[bytes, datetime] = OrderedDict()

    def new(self, now: datetime) -> bytes:
        """Return 32 random bytes, valid for a minute."""
        self._forget(now)
        nonce = secrets.token_bytes(_SIZE)
        self._given[nonce] = now
        return nonce

    def use(self, nonce: bytes, now: datetime) -> None:
        """Take a nonce back.

        Raises:
            Unauthenticated: when it was not given, is used already, or is too old.
        """
        given = self._given.pop(nonce, None)
        if given is None or now - given > LIFETIME:
            raise Unauthenticated(
                "the nonce is unknown, used or older than a minute",
                code="nonce",
                remedy="begin again",
            )

    def _forget(self, now: datetime) -> None:
        while self._given:
            oldest = next(iter(self._given))
            if len(self._given) < _KEPT and now - self._given[oldest] <= LIFETIME:
                return
            del self._given[oldest]
