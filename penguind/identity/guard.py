"""Deciding who calls, from the connection alone, anew for each RPC.

In order: TLS 1.3; one client certificate that one of our authorities signed; its dates by the
server's clock; exactly one name, of that authority's kind and of our fleet; an active record that
knows the serial and the key. An open channel and a resumed TLS session outlive an expired or
revoked certificate, so the handshake's word is not enough.

Trust: the certificate's bytes passed the handshake once, possibly long ago.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from penguind.caller import Caller
from penguind.identity.blocking import blocked_error
from penguindome import certs
from penguindome.errors import PenguinDomeError, Unauthenticated
from penguindome.names import Principal, parse_uri

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from penguind.identity.authority import Authority
    from penguind.identity.identities import Identities, Identity

_SKEW = timedelta(minutes=5)
_CERTIFICATES_KEPT = 20_000
_RENEW = "the agent and penguinctl renew it by themselves; if they do not, they say why"


@dataclass(frozen=True, slots=True)
class _Parsed:
    """What a certificate says, and which authority signed it; never changes."""

    facts: certs.CertificateFacts
    principal: Principal
    signer: str


class Guard:
    """Authenticates the callers of the main listener.

    Args:
        authority: signed their certificates.
        identities: their records.
        clock: the time.
        take_lost: records a certificate that a restored database does not know; tells whether.
    """

    def __init__(
        self,
        authority: Authority,
        identities: Identities,
        clock: Callable[[], datetime],
        take_lost: Callable[[str, str, certs.CertificateFacts], Awaitable[bool]],
    ) -> None:
        self._authority = authority
        self._identities = identities
        self._clock = clock
        self._take_lost = take_lost
        self._parsed: OrderedDict[bytes, _Parsed] = OrderedDict()
        self._revision = authority.revision

    async def authenticate(self, context: Mapping[str, Sequence[bytes]], peer: str) -> Caller:
        """Return the caller that gRPC's authentication context proves.

        Raises:
            Unauthenticated: naming the first rule that is broken.
            Forbidden: the device is blocked.
        """
        if list(context.get("ssl_tls_version", ())) != [b"TLSv1.3"]:
            raise Unauthenticated("only TLS 1.3 is accepted", code="tls-version")
        parsed = self._parse(context.get("x509_pem_cert", ()))
        _check_dates(parsed.facts, self._clock())
        name = parsed.principal.name
        identity = await self._identities.get(parsed.principal.kind, name)
        unknown = identity is not None and parsed.facts.serial not in identity.serials
        if unknown and await self._take_lost(parsed.principal.kind, name, parsed.facts):
            identity = await self._identities.get(parsed.principal.kind, name)
        known = _check_record(parsed.facts, identity)
        if known.pending_spki == parsed.facts.spki:
            await self._identities.promote_key(name, parsed.facts.spki)
        return Caller(
            kind=parsed.principal.kind,
            name=name,
            roles=known.roles,
            peer=peer,
            serial=parsed.facts.serial,
            expires_time=parsed.facts.not_after,
        )

    def _parse(self, certificates: Sequence[bytes]) -> _Parsed:
        if len(certificates) != 1:
            raise Unauthenticated("the connection has no client certificate", code="no-certificate")
        if self._revision != self._authority.revision:
            # An authority may be retired by now.
            self._revision = self._authority.revision
            self._parsed.clear()
        pem = bytes(certificates[0])
        parsed = self._parsed.get(pem)
        if parsed is None:
            parsed = self._read(pem)
            self._parsed[pem] = parsed
            if len(self._parsed) > _CERTIFICATES_KEPT:
                self._parsed.popitem(last=False)
        return parsed

    def _read(self, pem: bytes) -> _Parsed:
        try:
            facts = certs.parse_certificate(pem)
            signer = self._authority.signer(pem)
        except PenguinDomeError as error:
            raise Unauthenticated(error.reason, code="bad-certificate") from error
        if signer is None or facts.is_ca:
            raise Unauthenticated(
                "the certificate comes from another authority", code="other-authority"
            )
        if len(facts.uris) != 1:
            raise Unauthenticated(
                f"the certificate holds {len(facts.uris)} names instead of one",
                code="bad-certificate-name",
            )
        principal = parse_uri(facts.uris[0])
        if principal.kind != signer or principal.fleet != self._authority.fleet:
            raise Unauthenticated(
                "the certificate's name is not one that its authority gives",
                code="bad-certificate-name",
            )
        return _Parsed(facts, principal, signer)


def _check_dates(facts: certs.CertificateFacts, now: datetime) -> None:
    if now > facts.not_after:
        raise Unauthenticated("the certificate has expired", code="expired", remedy=_RENEW)
    if now < facts.not_before - _SKEW:
        raise Unauthenticated("the certificate is not valid yet", code="not-yet-valid")


def _check_record(facts: certs.CertificateFacts, identity: Identity | None) -> Identity:
    if identity is None or identity.state == "revoked":
        raise Unauthenticated(
            "the identity is revoked",
            code="revoked",
            remedy="ask an operator; a revoked device enrolls anew with a new token",
        )
    if identity.state == "blocked":
        raise blocked_error(identity.held_by)
    if identity.state != "active":
        raise Unauthenticated(
            f"the identity is {identity.state}", code=identity.state, remedy=_RENEW
        )
    if facts.spki not in (identity.spki, identity.pending_spki):
        raise Unauthenticated("the key is not the recorded one", code="other-key", remedy=_RENEW)
    if facts.serial not in identity.serials:
        raise Unauthenticated(
            "the certificate was replaced by a newer one", code="replaced", remedy=_RENEW
        )
    return identity
