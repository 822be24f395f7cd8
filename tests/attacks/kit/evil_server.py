"""A server that is the attacker's: it writes down what it hears and answers what it likes."""

from __future__ import annotations

import os
from concurrent import futures
from typing import TYPE_CHECKING, Any, Self

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.attacks.kit.keys import Identity

    Reply = Callable[[bytes], bytes]


class EvilServer(grpc.GenericRpcHandler):
    """Listens with its own certificate or a stolen one; use it with `with`.

    Args:
        who: the certificate, with its chain, and the key.
        replies: what to answer, by method's full name; everything else is refused.
    """

    def __init__(self, who: Identity, replies: Mapping[str, Reply] | None = None) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._replies = dict(replies or {})
        self._server = grpc.server(
            futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)]
        )
        self._server.add_generic_rpc_handlers((self,))
        credentials = grpc.ssl_server_credentials([(who.key, who.certificate)])
        self.port = self._server.add_secure_port("127.0.0.1:0", credentials)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait(5)

    def service(self, handler_call_details: Any) -> Any:
        """Return what handles a method, whichever it is."""
        method = handler_call_details.method

        def handle(request: bytes, context: grpc.ServicerContext) -> bytes:
            self.heard.append((method, request))
            reply = self._replies.get(method)
            if reply is None:
                context.abort(grpc.StatusCode.UNAVAILABLE, "not now")
            return reply(request)

        return grpc.unary_unary_rpc_method_handler(handle)

    def methods(self) -> list[str]:
        """Return the short names of the methods that were called."""
        return [method.rpartition("/")[2] for method, _ in self.heard]


def relays(channel: grpc.Channel, *methods: str) -> dict[str, Reply]:
    """Return replies that hand calls on to an honest server."""

    def relay(method: str) -> Reply:
        return lambda request: bytes(channel.unary_unary(method)(request, timeout=15))

    return {method: relay(method) for method in methods}
