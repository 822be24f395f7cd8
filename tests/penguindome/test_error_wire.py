from __future__ import annotations

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome import errors
from penguindome.channels import client_options, server_options, sync_channel, target
from penguindome.error_wire import DETAIL_KEY, TEXT_LIMIT, from_rpc_error, to_status

KINDS = [
    errors.InvalidInput,
    errors.NotFound,
    errors.AlreadyExists,
    errors.PreconditionFailed,
    errors.Unauthenticated,
    errors.Forbidden,
    errors.LimitExceeded,
    errors.Unavailable,
    errors.NotSupported,
    errors.Damaged,
    errors.InternalError,
]
texts = st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace").decode())


class Failed(grpc.RpcError):
    """What a call raises."""

    def __init__(self, code: object, details: object, trailing: object) -> None:
        self._found = (code, details, trailing)

    def code(self) -> object:
        return self._found[0]

    def details(self) -> object:
        return self._found[1]

    def trailing_metadata(self) -> object:
        return self._found[2]


@pytest.mark.parametrize("kind", KINDS)
@given(st.tuples(texts, texts, texts, texts), st.integers(0, 2**32 - 1))
def test_an_error_survives_the_wire(
    kind: type[errors.PenguinDomeError], said: tuple[str, str, str, str], wait: int
) -> None:
    reason, code, subject, remedy = said
    error = kind(reason or "x", code=code, subject=subject, remedy=remedy, retry_after_seconds=wait)
    status, message, trailing = to_status(error)
    found = from_rpc_error(Failed(status, message, trailing))  # type: ignore[arg-type]
    assert type(found) is kind
    assert vars(found) == vars(error)


def test_each_kind_has_its_own_status() -> None:
    assert len({to_status(kind("x"))[0] for kind in KINDS}) == len(KINDS)
    assert len({kind.default_code for kind in KINDS}) == len(KINDS)


def test_a_subclass_has_the_status_of_its_kind() -> None:
    class Special(errors.NotFound):
        pass

    assert to_status(Special("x"))[0] is grpc.StatusCode.NOT_FOUND
    assert to_status(errors.PenguinDomeError("x"))[0] is grpc.StatusCode.INTERNAL


def test_long_and_unencodable_texts_are_cut() -> None:
    status, message, trailing = to_status(errors.NotFound("\ud800" + "x" * 5000))
    assert status is grpc.StatusCode.NOT_FOUND
    assert len(message) == TEXT_LIMIT
    assert len(trailing[0][1]) < 2 * TEXT_LIMIT


@pytest.mark.parametrize("status", list(grpc.StatusCode))
def test_foreign_errors_become_ours(status: grpc.StatusCode) -> None:
    found = from_rpc_error(Failed(status, "Socket closed", ()))  # type: ignore[arg-type]
    assert isinstance(found, errors.PenguinDomeError)
    assert found.reason


CONNECT = "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
TLS = CONNECT + "Ssl handshake failed: SSL_ERROR_SSL: error:1000007d:SSL routines:OPENSSL_internal:"


@pytest.mark.parametrize(
    ("details", "reason", "remedy"),
    [
        ("Socket closed", "reached (Socket closed)", "firewall"),
        ("", "cannot be reached", "firewall"),
        (CONNECT + "Failed to connect to remote host: Connection refused", "(Connection", "port"),
        (
            CONNECT + "Failed to connect to remote host: connect: Connection refused (111)",
            "(Connection refused)",
            "port",
        ),
        ("DNS resolution failed for h:1: C-ares status is", "(its name cannot be", "host"),
        ("errors resolving h:1: [field:hostname lookup error", "(its name cannot be", "host"),
        (TLS + "CERTIFICATE_VERIFY_FAILED", "not our server", "clock"),
        (TLS + "CERTIFICATE_VERIFY_FAILED: certificate has expired", "not valid at", "clock"),
        (TLS + "CERTIFICATE_VERIFY_FAILED: certificate is not yet valid: OK", "not valid", "clock"),
    ],
)
def test_a_failed_transport_has_a_hint(details: str, reason: str, remedy: str) -> None:
    found = from_rpc_error(Failed(grpc.StatusCode.UNAVAILABLE, details, None))  # type: ignore[arg-type]
    assert isinstance(found, errors.Unavailable)
    assert reason in found.reason
    assert remedy in found.remedy
    assert "handshake" not in found.text()


@given(st.binary(max_size=60), st.none() | st.integers() | st.text())
def test_a_hostile_peer_gets_an_error_only(data: bytes, details: object) -> None:
    trailing = [("other", "x"), (DETAIL_KEY, data)]
    found = from_rpc_error(Failed(None, details, trailing))  # type: ignore[arg-type]
    assert isinstance(found, errors.PenguinDomeError)


def test_a_bare_rpc_error_is_an_error_too() -> None:
    assert isinstance(from_rpc_error(grpc.RpcError()), errors.InternalError)


def test_errors_are_sentences() -> None:
    error = errors.NotFound("no such device.", subject="web-1", remedy="List devices")
    assert str(error) == "no such device. List devices"
    assert error.text() == "web-1: no such device — List devices"
    assert errors.NotFound("gone").text() == str(errors.NotFound("gone")) == "gone"


def test_channels_use_neither_proxy_nor_compression_nor_system_anchors() -> None:
    assert dict(client_options())["grpc.enable_http_proxy"] == 0
    assert dict(client_options(1234))["grpc.max_receive_message_length"] == 1234
    options = dict(server_options(max_connection_age_seconds=60))
    assert options["grpc.compression_enabled_algorithms_bitset"] == 1
    assert options["grpc.so_reuseport"] == 0
    assert options["grpc.max_connection_age_ms"] == 60_000
    with pytest.raises(ValueError, match="anchor"):
        sync_channel("localhost", 1, anchors_pem=b"")
    assert target("::1", 5) == "[::1]:5"
    assert target("[::1]", 5) == "[::1]:5"
    assert target("a.example", 5) == "a.example:5"
