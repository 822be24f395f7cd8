"""HTTP/2 over Python's own TLS: a client without gRPC's manners."""

from __future__ import annotations

import base64
import socket
import ssl
import struct
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import h2.config
import h2.connection
import h2.events

from penguindome.v1 import error_pb2

if TYPE_CHECKING:
    from tests.attacks.kit.keys import Identity

SECONDS = 10.0
UNAUTHENTICATED = 16


@dataclass(frozen=True)
class Answer:
    """gRPC's status, and our own code where the server gave one."""

    status: int
    code: str = ""


def client_context(
    anchor: bytes,
    who: Identity | None = None,
    *,
    version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    """Return a client that speaks one version of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=anchor.decode())
    context.set_alpn_protocols(["h2"])
    # OpenSSL's own floor is above what is tried here.
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    if who is not None:
        hold(context, who)
    return context


def hold(context: ssl.SSLContext, who: Identity) -> None:
    """Give a client another key and certificate instead of the ones it had."""
    with tempfile.NamedTemporaryFile(prefix="pd") as file:
        file.write(who.key + who.certificate)
        file.flush()
        context.load_cert_chain(file.name)


class Http2:
    """One connection; use it with `with`."""

    def __init__(
        self, port: int, context: ssl.SSLContext, session: ssl.SSLSession | None = None
    ) -> None:
        plain = socket.create_connection(("127.0.0.1", port), SECONDS)
        try:
            self.tls = context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
        except BaseException:
            plain.close()
            raise
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self._h2 = h2.connection.H2Connection(config)
        self._h2.initiate_connection()
        self._flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.tls.close()

    def call(self, method: str, message: bytes = b"") -> Answer:
        """Call a method with one message and return how it ended."""
        stream = self._h2.get_next_available_stream_id()
        headers = {
            ":method": "POST",
            ":scheme": "https",
            ":path": method,
            ":authority": "127.0.0.1",
            "content-type": "application/grpc",
            "te": "trailers",
        }
        self._h2.send_headers(stream, list(headers.items()))
        framed = struct.pack(">BI", 0, len(message)) + message
        self._h2.send_data(stream, framed, end_stream=True)
        self._flush()
        return self._answer()

    def _answer(self) -> Answer:
        while True:
            data = self.tls.recv(65_536)
            if not data:
                raise ConnectionResetError("the server hung up")
            events = self._h2.receive_data(data)
            self._flush()
            for event in events:
                if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
                    headers = dict(event.headers)
                    if "grpc-status" in headers:
                        return _answer(headers)

    def _flush(self) -> None:
        self.tls.sendall(self._h2.data_to_send())


def _answer(headers: dict[str, str]) -> Answer:
    packed = headers.get("penguindome-error-bin", "")
    detail = error_pb2.ErrorDetail()
    detail.ParseFromString(base64.b64decode(packed + "=" * (-len(packed) % 4)))
    return Answer(int(headers["grpc-status"]), detail.code)
