"""Raw gRPC to a server's two ports: any method, any bytes, any certificate."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

from penguindome.channels import sync_channel
from penguindome.error_wire import from_rpc_error

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguindome.errors import PenguinDomeError
    from tests.attacks.kit.keys import Identity
    from tests.harness.server import Server

SECONDS = 15.0


class Wire:
    """Opens channels, and closes all of them at the end."""

    def __init__(self, server: Server, anchor: bytes) -> None:
        self.main_port, self.bootstrap_port = server.main_port, server.bootstrap_port
        self.anchor = anchor
        self._channels: list[grpc.Channel] = []

    def main(self, who: Identity | None = None) -> grpc.Channel:
        """Return a new channel to the port that wants a certificate, with one or with none."""
        return self._open(self.main_port, who)

    def bootstrap(self) -> grpc.Channel:
        """Return a new channel to the port that wants none."""
        return self._open(self.bootstrap_port, None)

    def close(self) -> None:
        for channel in self._channels:
            channel.close()

    def _open(self, port: int, who: Identity | None) -> grpc.Channel:
        key, certificate = (who.key, who.certificate) if who else (None, None)
        channel = sync_channel(
            "127.0.0.1", port, anchors_pem=self.anchor, key_pem=key, cert_pem=certificate
        )
        self._channels.append(channel)
        return channel


def first_answer(channel: grpc.Channel, method: str, request: bytes = b"") -> bytes | None:
    """Call a method of any kind with one message; return the first answer, None for none.

    On the wire a single answer is a stream of one, so that this fits every method.
    """
    stream = channel.unary_stream(method)(request, timeout=SECONDS)
    try:
        return bytes(next(stream))
    except StopIteration:
        return None
    finally:
        stream.cancel()


def refusal(function: Callable[..., object], *words: object, **named: object) -> PenguinDomeError:
    """Call something that has to be refused over the wire; return our error."""
    try:
        function(*words, **named)
    except grpc.RpcError as error:
        return from_rpc_error(error)
    raise AssertionError("it was not refused")
