"""The listeners: main ones for callers with a certificate, bootstrap ones for those without."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc.aio

from penguind.access import check_table
from penguind.config_listeners import KINDS
from penguind.tls import CertificateSource, server_credentials
from penguindome.channels import (
    BOOTSTRAP_LIMIT_BYTES,
    MESSAGE_LIMIT_BYTES,
    server_options,
    target,
)
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from penguind.config_listeners import ListenerSettings
    from penguind.gate import Gate

# Above these gRPC drops new calls at random; a fleet that comes back at once is no attack.
_PENDING = 50_000
_PENDING_HARD = 100_000
_ANSWER_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Served:
    """One service: its generated descriptor, and what adds it to a server."""

    descriptor: Any
    add: Callable[[grpc.aio.Server], None]

    @property
    def methods(self) -> list[str]:
        """Return the full names of its methods."""
        name = self.descriptor.full_name
        return [f"/{name}/{method.name}" for method in self.descriptor.methods]


@dataclass(frozen=True, slots=True)
class Listener:
    """What one port serves, and to whom; roots make a client certificate required."""

    settings: ListenerSettings
    gate: Gate
    services: Sequence[Served]
    client_roots: Callable[[], bytes] | None = None

    @property
    def message_limit_bytes(self) -> int:
        """Return the largest message that is taken in."""
        return BOOTSTRAP_LIMIT_BYTES if self.client_roots is None else MESSAGE_LIMIT_BYTES


def make_servers(
    listeners: Sequence[Listener], certificates: Mapping[str, CertificateSource]
) -> list[grpc.aio.Server]:
    """Return a bound, not yet started server for each listener.

    Args:
        listeners: at least one of each kind.
        certificates: by listener name.

    Raises:
        PreconditionFailed: a method without a row, or a port that is taken.
    """
    check_table({str(one.settings.kind): _methods(one.services) for one in listeners})
    return [_make(one, certificates[one.settings.name]) for one in listeners]


def _make(listener: Listener, certificate: CertificateSource) -> grpc.aio.Server:
    # Others may say little; a list of thousands of devices, or of trust documents, is longer.
    sent = "grpc.max_send_message_length"
    options = [
        *(item for item in server_options(listener.message_limit_bytes) if item[0] != sent),
        (sent, _ANSWER_BYTES),
        ("grpc.server.max_pending_requests", _PENDING),
        ("grpc.server.max_pending_requests_hard_limit", _PENDING_HARD),
    ]
    server = grpc.aio.server(interceptors=[listener.gate], options=options)
    for service in listener.services:
        service.add(server)
    credentials = server_credentials(certificate, listener.client_roots)
    check_port(listener.settings)
    where = target(listener.settings.address, listener.settings.port)
    try:
        bound = server.add_secure_port(where, credentials)
    except RuntimeError as error:
        raise _not_bound(listener.settings, str(error)) from error
    if bound == 0:
        raise _not_bound(listener.settings, "the address cannot be used")
    return server


def check_port(listener: ListenerSettings) -> None:
    """Check that an address and port can be bound, for a better reason than gRPC's.

    Raises:
        PreconditionFailed: with the system's reason.
    """
    try:
        found = socket.getaddrinfo(
            listener.address.strip("[]"), listener.port, type=socket.SOCK_STREAM
        )
        family, _, _, _, address = found[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise _not_bound(listener, error.strerror or str(error), error.errno) from error


def _not_bound(
    listener: ListenerSettings, reason: str, number: int | None = 0
) -> PreconditionFailed:
    name = listener.name
    first = name in KINDS
    port = f"listen.{name}_port" if first else f"listeners.{name}.port"
    address = "listen.address" if first else f"listeners.{name}.address"
    remedies = {
        errno.EADDRINUSE: "another program uses it (ss -ltnp says which); stop it, or set another "
        f"port: {port}",
        errno.EACCES: f"ports below 1024 are root's: set {port} to a higher one, and let a proxy "
        "or redirect lead there from the advertised port; or lower the system's limit: "
        f"sysctl net.ipv4.ip_unprivileged_port_start={listener.port}",
        errno.EADDRNOTAVAIL: f"the address is not one of this machine's; correct {address}",
    }
    return PreconditionFailed(
        f"the listener {name} cannot listen: {reason}",
        code="not-bound",
        subject=target(listener.address, listener.port),
        remedy=remedies.get(number or 0, f"correct {address} and {port}"),
    )


def _methods(services: Iterable[Served]) -> list[str]:
    return [method for service in services for method in service.methods]
