"""When a certificate is renewed: from day 5 of 14, spread over a day; late is never too late. Pure.

Only the certificate's own dates decide. A TLS error says nothing: an expired certificate, an
unknown authority and a cut cable look the same from here.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from penguin_agent.identity import Facts

_START = 5 / 14
_SPREAD = 1 / 14


def renewal_time(facts: Facts) -> datetime:
    """Return when a certificate is due; the serial spreads a fleet, and survives a restart."""
    lifetime = facts.not_after - facts.not_before
    fraction = int(facts.serial[-4:] or "0", 16) % 1000 / 1000
    return facts.not_before + lifetime * (_START + _SPREAD * fraction)


def is_due(facts: Facts, now: datetime) -> bool:
    """Whether a certificate should be renewed at `now`."""
    return now >= renewal_time(facts)


def is_usable(facts: Facts, now: datetime) -> bool:
    """Whether the server would take a certificate at `now`, by its dates."""
    return facts.not_before - timedelta(minutes=5) <= now <= facts.not_after


def seconds_until_due(facts: Facts, now: datetime) -> float:
    """Return how long until a certificate is due, 0 if it is."""
    return max(0.0, (renewal_time(facts) - now).total_seconds())
