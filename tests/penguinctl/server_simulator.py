"""A PenguinDome server in memory, over real mutual TLS, for tests of penguinctl.

`Simulator` holds the keys and the listeners; what it answers stands in `simulated_services.py`.
"""

import secrets
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Event

import grpc

from penguindome import certs, keys
from penguindome.channels import server_options
from penguindome.csr import csr_spki
from penguindome.error_wire import to_status
from penguindome.errors import PenguinDomeError
from penguindome.ids import new_fleet_id
from penguindome.names import Principal, to_uri
from penguindome.tokens import Invitation, encode_invitation
from tests.penguinctl import (
    hostile_text,
    simulated_alerts,
    simulated_bootstrap,
    simulated_operators,
    simulated_order_book,
    simulated_orders,
    simulated_parameters,
    simulated_releases,
    simulated_services,
)

HOST = "127.0.0.1"


class Authority:
    """A key and its certificate."""

    def __init__(self, name, *, client):
        self.key = keys.generate_key()
        self.pem = certs.make_authority(
            name,
            key_pem=self.key,
            now=datetime.now(UTC),
            lifetime=timedelta(days=30),
            path_length=None,
            client_auth_only=client,
        )

    def issue(self, spki, *, client, days=10, **names):
        now = datetime.now(UTC)
        return certs.issue(
            authority_pem=self.pem,
            authority_key_pem=self.key,
            spki=spki,
            client=client,
            not_before=now - timedelta(days=1),
            not_after=now + timedelta(days=days),
            **names,
        )


class Tap(grpc.ServerInterceptor):
    """Notes each call, fails it if the test wants that, and poisons answers."""

    def __init__(self, simulator):
        self.simulator = simulator

    def intercept_service(self, continuation, handler_call_details):
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        name = handler_call_details.method.rpartition("/")[2]
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                lambda request, context: self.simulator.answers(
                    name, handler.unary_stream, request, context
                ),
                request_deserializer=handler.request_deserializer,
                response_serializer=handler.response_serializer,
            )

        def behaviour(request, context):
            return self.simulator.answer(name, handler.unary_unary, request, context)

        return grpc.unary_unary_rpc_method_handler(
            behaviour,
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


class Simulator:
    """One fleet's server."""

    def __init__(self):
        self.fleet = new_fleet_id()
        self.anchor = Authority("anchor", client=False)
        self.operators = Authority("operators", client=True)
        self.servers = []
        self.main_port = self.bootstrap_port = 0
        self.invitations = {}
        self.used = {}
        self.nonces = set()
        self.keys = {}
        self.certificate_days = 10
        self.reset()

    def reset(self):
        """Forget everything but trust and identities."""
        trust = self.state.trust if hasattr(self, "state") else []
        self.state = simulated_services.State(fleet=self.fleet)
        self.state.trust = trust
        self.orders = simulated_order_book.Book(self)
        self.calls = []
        self.failures = {}
        self.lose_answer_of = set()
        self.held = {}
        self.hostile = False
        self.spared = ()

    def start(self, main_port=0):
        """Open both listeners, the main one at a port that it had before if one is given."""
        key = keys.generate_key()
        leaf = self.anchor.issue(keys.key_spki(key), client=False, ip_addresses=[HOST])
        pair = [(key, leaf)]
        main = grpc.ssl_server_credentials(pair, self.operators.pem, require_client_auth=True)
        self.main_port = self._listen(main, simulated_services.add_main, main_port)
        self.bootstrap_port = self._listen(
            grpc.ssl_server_credentials(pair), simulated_bootstrap.add_bootstrap
        )
        return self

    def _listen(self, credentials, add, wanted=0):
        server = grpc.server(
            ThreadPoolExecutor(8), interceptors=[Tap(self)], options=server_options(2**26)
        )
        add(server, self)
        simulated_parameters.add(server, self)
        simulated_operators.add(server)
        simulated_orders.add(server, self)
        simulated_releases.add(server, self)
        simulated_alerts.add(server)
        port = server.add_secure_port(f"{HOST}:{wanted}", credentials)
        server.start()
        self.servers.append(server)
        return port

    def stop(self):
        """Close both listeners."""
        for server in self.servers:
            server.stop(0).wait(5)
        self.servers = []

    def hold(self, name):
        """Let the next call of a method wait; return events: it arrived, it may go on."""
        self.held[name] = Event(), Event()
        return self.held[name]

    def answer(self, name, behaviour, request, context):
        """Answer a call; the place where tests make trouble."""
        self.calls.append((name, request))
        if name in self.held:
            arrived, released = self.held.pop(name)
            arrived.set()
            released.wait(30)
            if not context.is_active():
                # Whoever called has gone; the next test has the state by now.
                context.abort(grpc.StatusCode.CANCELLED, "the caller has gone")
        try:
            if name in self.failures:
                raise self.failures[name]
            response = behaviour(request, context)
        except PenguinDomeError as error:
            status, message, trailing = to_status(error)
            context.set_trailing_metadata(trailing)
            context.abort(status, message)
        if name in self.lose_answer_of:
            self.lose_answer_of.discard(name)
            context.abort(grpc.StatusCode.UNAVAILABLE, "connection lost")
        if self.hostile:
            hostile_text.poison(response, self.spared)
        return response

    def answers(self, name, behaviour, request, context):
        """Answer a call with a stream."""
        self.calls.append((name, request))
        try:
            if name in self.failures:
                raise self.failures[name]
            for response in behaviour(request, context):
                if self.hostile:
                    hostile_text.poison(response, self.spared)
                yield response
        except PenguinDomeError as error:
            status, message, trailing = to_status(error)
            context.set_trailing_metadata(trailing)
            context.abort(status, message)

    def requests(self, name):
        """Return the requests of a method, in order."""
        return [request for called, request in self.calls if called == name]

    def invitation(self, operator="alice", roles=("admin",), **changes):
        """Return the line that lets an operator in."""
        fields = {
            "anchor": certs.pem_to_der(self.anchor.pem),
            "fleet": self.fleet,
            "invitation_id": secrets.token_bytes(8),
            "secret": secrets.token_bytes(32),
            "host": HOST,
            "main_port": self.main_port,
            "bootstrap_port": self.bootstrap_port,
            "operator_name": operator,
            "trust_hash": b"",
        } | changes
        invitation = Invitation(**fields)
        self.invitations[invitation.invitation_id] = (invitation, roles)
        return encode_invitation(invitation)

    def operator_certificate(self, name, csr):
        """Return a certificate for an operator's request."""
        self.keys[name] = csr_spki(csr)
        return self.renewed_certificate(name)

    def renewed_certificate(self, name):
        """Return a certificate for an operator's recorded key."""
        uri = to_uri(Principal("operator", self.fleet, name))
        days = self.certificate_days
        return self.operators.issue(self.keys[name], client=True, days=days, uri=uri)
