"""Enrollment tokens: what they allow, and when they refuse."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.errors import Forbidden, InvalidInput

if TYPE_CHECKING:
    from datetime import datetime

WRONG_SECRETS_ALLOWED = 5
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
# ::ffff:0:0/96; RFC 4291 section 2.5.5.2.
_MAPPED_BITS = 96

_REMEDY = "ask an operator for a new token (penguinctl token create)"


@dataclass(frozen=True, slots=True)
class Token:
    """An enrollment token, without its secret: only the secret's hash is kept."""

    token_id: str
    secret_hash: bytes
    max_uses: int
    uses: int
    created_time: datetime
    expires_time: datetime
    created_by: str
    cidrs: tuple[str, ...] = ()
    needs_approval: bool = False
    labels: tuple[str, ...] = ()
    note: str = ""
    revoked: bool = False
    wrong_secrets: int = 0

    def state(self, now: datetime) -> str:
        """Return active, used-up, expired, revoked or frozen."""
        if self.revoked:
            return "revoked"
        if self.wrong_secrets >= WRONG_SECRETS_ALLOWED:
            return "frozen"
        if now >= self.expires_time:
            return "expired"
        return "used-up" if self.uses >= self.max_uses else "active"

    def admit(self, address: Address | None, now: datetime) -> None:
        """Check everything but the number of uses, for a caller who proved the secret.

        Raises:
            Forbidden: with the code token-revoked, token-frozen, token-expired or token-network.
        """
        state = self.state(now)
        if state not in ("active", "used-up"):
            raise Forbidden(f"the token is {state}", code=f"token-{state}", remedy=_REMEDY)
        if not self.allows(address):
            raise Forbidden(
                f"the token may not be used from the address {address}",
                code="token-network",
                remedy="enroll from an allowed network, or ask an operator for another token",
            )

    def allows(self, address: Address | None) -> bool:
        """Tell whether the address lies in one of the token's networks."""
        if not self.cidrs:
            return True
        return address is not None and any(
            address in ipaddress.ip_network(cidr) for cidr in self.cidrs
        )


def refused() -> Forbidden:
    """Return the one answer to unknown ids and wrong secrets, which tells neither apart."""
    return Forbidden("the token is not accepted", code="token-refused", remedy=_REMEDY)


def used_up() -> Forbidden:
    """Return the answer to one device too many."""
    return Forbidden("the token is used up", code="token-used-up", remedy=_REMEDY)


def clean_cidrs(cidrs: tuple[str, ...]) -> tuple[str, ...]:
    """Return networks in their normal spelling.

    Raises:
        InvalidInput: naming the first that is none, or more than 64.
    """
    if len(cidrs) > 64:
        raise InvalidInput("a token may name at most 64 networks", subject="cidrs")
    return tuple(_clean_cidr(cidr) for cidr in cidrs)


def _unmapped(network: Network) -> Network:
    """Return the IPv4 network that an IPv6 one maps; peers are compared in that form."""
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped is None or network.prefixlen < _MAPPED_BITS:
        return network
    return ipaddress.IPv4Network((mapped, network.prefixlen - _MAPPED_BITS))


def _clean_cidr(cidr: str) -> str:
    try:
        return str(_unmapped(ipaddress.ip_network(cidr)))
    except ValueError as error:
        raise InvalidInput(
            f"not a network: {error}", subject=cidr[:64], remedy="write it like 10.0.0.0/8"
        ) from None
