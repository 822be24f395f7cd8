"""One connection to the server, with each failure told as what, why and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import grpc

from penguinctl import wire
from penguinctl.exits import NotVerified
from penguindome import channels
from penguindome.error_wire import from_rpc_error
from penguindome.errors import PenguinDomeError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from google.protobuf.message import Message

    from penguinctl.profile import Profile, ProfileFolder
    from penguinctl.profiles import Address

# A list of thousands of devices with their issues is a few MiB.
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
BOOTSTRAP_MESSAGE_BYTES = 4 * 1024 * 1024


class Session:
    """Calls over one mutual-TLS channel to one listener."""

    def __init__(self, channel: grpc.Channel, address: str) -> None:
        self._channel = channel
        self._address = address

    def call(
        self, method: str, request: Message | Iterator[Message], *, timeout_seconds: float = 30.0
    ) -> Any:
        """Call a method that answers once by its short name, e.g. "device.ListDevices".

        Args:
            method: The service's noun and the method.
            request: One message, or many where the method takes a stream.
            timeout_seconds: After which it is given up.

        Raises:
            PenguinDomeError: What the server answered, or why it could not be reached.
        """
        try:
            return self._method(method)(request, timeout=timeout_seconds)
        except grpc.RpcError as error:
            raise self._explained(error) from error

    def stream(self, method: str, request: Message) -> Stream:
        """Call a method that answers with a stream, by its short name, e.g. "order.WatchOrder"."""
        return Stream(self._method(method)(request), self._explained)

    def _method(self, method: str) -> Any:
        noun, name = method.split(".")
        stub = getattr(getattr(wire, f"{noun}_pb2_grpc"), f"{noun.capitalize()}ServiceStub")
        return getattr(stub(self._channel), name)

    def close(self) -> None:
        """End the connection."""
        self._channel.close()

    def _explained(self, error: grpc.RpcError) -> PenguinDomeError:
        ours = from_rpc_error(error)
        if ours.code == "server-certificate-dates":
            return NotVerified(
                ours.reason, subject=self._address, code=ours.code, remedy=ours.remedy
            )
        if ours.code == "server-not-verified":
            return NotVerified(
                "whoever answers there is not our server: its certificate does not verify"
                " against the anchor that the invitation carried",
                subject=self._address,
                code="server-not-verified",
                remedy="Nothing was sent; check the address and the network between, and ask the"
                " server's administrator if its anchor was replaced",
            )
        if isinstance(ours, Unavailable) and not ours.subject:
            return Unavailable(
                ours.reason,
                code=ours.code,
                subject=self._address,
                remedy=ours.remedy
                or "Check that penguind runs and that a firewall lets us through",
                retry_after_seconds=ours.retry_after_seconds,
            )
        return ours


class Stream:
    """The messages of one answer; leaving its `with` block ends the call, however that is left."""

    def __init__(self, call: Any, explained: Callable[[grpc.RpcError], PenguinDomeError]) -> None:
        self._call = call
        self._explained = explained

    def __enter__(self) -> Self:
        """Begin; the call has begun already."""
        return self

    def __exit__(self, *ending: object) -> None:
        """End the call, if it has not ended."""
        self.cancel()

    def __iter__(self) -> Iterator[Any]:
        """Yield messages as they come.

        Raises:
            PenguinDomeError: What the server answered, or that the connection broke.
        """
        try:
            yield from self._call
        except grpc.RpcError as error:
            raise self._explained(error) from error

    def cancel(self) -> None:
        """End the call from here; safe from any thread, and more than once."""
        self._call.cancel()


def connect(folder: ProfileFolder, profile: Profile, detour: Address | None = None) -> Session:
    """Open a session as the operator of a profile.

    Args:
        folder: The profile's files.
        profile: Who we are, and where the server is.
        detour: Where it is dialled just now; it has to be the same server nonetheless.

    Raises:
        PreconditionFailed: A file of the profile is missing or open to others.
    """
    host, port = (detour.host, detour.port) if detour else (profile.host, 0)
    port = port or profile.main_port
    channel = channels.sync_channel(
        host,
        port,
        anchors_pem=folder.read("anchor.pem"),
        key_pem=folder.read("key.pem"),
        cert_pem=folder.read("certificate.pem"),
        max_message_bytes=MAX_MESSAGE_BYTES,
        server_name=profile.host if detour else "",
    )
    return Session(channel, channels.target(host, port))


def connect_bootstrap(host: str, port: int, *, anchor_pem: bytes, server_name: str = "") -> Session:
    """Open a session without an identity, to get one.

    Args:
        host: Where to dial.
        port: Where to dial.
        anchor_pem: What the server has to be certified by.
        server_name: Whose certificate it has to show, where that is not the host.
    """
    channel = channels.sync_channel(
        host,
        port,
        anchors_pem=anchor_pem,
        max_message_bytes=BOOTSTRAP_MESSAGE_BYTES,
        server_name=server_name,
    )
    return Session(channel, channels.target(host, port))
