"""What ends on the server itself: certificates of listeners, authorities, the trust document."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.domain.issue import SUBJECT
from penguind.watch.expiry import Expiring
from penguindome.trust import RENEW_BEFORE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from penguind.config_listeners import ListenerSettings
    from penguind.identity.authority import Authority
    from penguind.identity.trust import Trust
    from penguind.tls import CertificateSource

CERTIFICATE_WINDOW = timedelta(days=30)
AUTHORITY_WINDOW = timedelta(days=60)


class ServerEnds:
    """Lists everything of the server's that ends some day.

    Args:
        listeners: have names and ports.
        certificates: the listeners', by name.
        authority: issues devices' and operators' certificates.
        trust: has the newest trust document.
    """

    def __init__(
        self,
        *,
        listeners: Sequence[ListenerSettings],
        certificates: Mapping[str, CertificateSource],
        authority: Authority,
        trust: Trust,
    ) -> None:
        self._listeners = listeners
        self._certificates = certificates
        self._authority = authority
        self._trust = trust

    async def all(self) -> list[Expiring]:
        """Return certificates by listener, authorities and the trust document with their ends."""
        document = await self._trust.current()
        found = [*self._of_listeners(), *self._of_authorities()]
        if document is not None:
            found.append(
                Expiring(
                    f"{SUBJECT}trust",
                    "trust-document",
                    "The trust document",
                    document.expires_time,
                    RENEW_BEFORE,
                )
            )
        return found

    def _of_listeners(self) -> Iterator[Expiring]:
        for one in self._listeners:
            yield Expiring(
                f"{SUBJECT}certificate/{one.name}",
                f"server-port-{one.port}",
                f"The server's certificate on port {one.port}",
                self._certificates[one.name].current().not_after,
                CERTIFICATE_WINDOW,
            )

    def _of_authorities(self) -> Iterator[Expiring]:
        for kind, end in self._authority.ends().items():
            yield Expiring(
                f"{SUBJECT}authority/{kind}",
                f"{kind}-authority",
                f"The {kind} authority's certificate",
                end,
                AUTHORITY_WINDOW,
            )
