"""Open channels and configure listeners: one set of gRPC options for all programs.

Keepalive pings keep paths open and find dead peers; `ping_timeout` is what newer gRPC obeys,
`keepalive_timeout` what older does. No proxies, no compression, no settings from the environment.
"""

from __future__ import annotations

import grpc
import grpc.aio

Options = list[tuple[str, "str | int"]]

MESSAGE_LIMIT_BYTES = 4 * 1024 * 1024
BOOTSTRAP_LIMIT_BYTES = 64 * 1024
METADATA_LIMIT_BYTES = 16 * 1024


def client_options(
    max_message_bytes: int = MESSAGE_LIMIT_BYTES, *, server_name: str = ""
) -> Options:
    """Return the options of a channel.

    Args:
        max_message_bytes: The largest message either way.
        server_name: Whose certificate the server has to show, where that is not the host: it is
            reached by a detour, and has to prove to be itself nonetheless.
    """
    detour: Options = [("grpc.ssl_target_name_override", server_name.strip("[]"))]
    return [
        *_common(max_message_bytes, ping_seconds=20),
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
        # A channel with a renewed certificate must not share an old connection.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.initial_reconnect_backoff_ms", 1_000),
        ("grpc.max_reconnect_backoff_ms", 60_000),
        *(detour if server_name else []),
    ]


def server_options(
    max_message_bytes: int = MESSAGE_LIMIT_BYTES,
    *,
    handshake_timeout_seconds: int = 5,
    max_connection_age_seconds: int = 0,
    reuse_port: bool = False,
) -> Options:
    """Return the options of a listener.

    Args:
        max_message_bytes: The largest message either way.
        handshake_timeout_seconds: When a silent connection is cut.
        max_connection_age_seconds: When a connection has to handshake anew; 0 for never.
        reuse_port: Whether several workers share the port on purpose.
    """
    options: Options = [
        *_common(max_message_bytes, ping_seconds=30),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.server_handshake_timeout_ms", handshake_timeout_seconds * 1_000),
        ("grpc.so_reuseport", int(reuse_port)),
        # Bit 0 is "identity": a compressed message is refused before it is unpacked.
        ("grpc.compression_enabled_algorithms_bitset", 1),
    ]
    if max_connection_age_seconds:
        options += [
            ("grpc.max_connection_age_ms", max_connection_age_seconds * 1_000),
            ("grpc.max_connection_age_grace_ms", 30_000),
        ]
    return options


def target(host: str, port: int) -> str:
    """Return gRPC's name of an address; IPv6 goes into brackets."""
    bare = host.strip("[]")
    return f"[{bare}]:{port}" if ":" in bare else f"{bare}:{port}"


def aio_channel(
    host: str,
    port: int,
    *,
    anchors_pem: bytes,
    key_pem: bytes | None = None,
    cert_pem: bytes | None = None,
    max_message_bytes: int = MESSAGE_LIMIT_BYTES,
    server_name: str = "",
) -> grpc.aio.Channel:
    """Open an asyncio channel that trusts the given anchors and nothing else."""
    credentials = _credentials(anchors_pem, key_pem, cert_pem)
    options = client_options(max_message_bytes, server_name=server_name)
    return grpc.aio.secure_channel(target(host, port), credentials, options=options)


def sync_channel(
    host: str,
    port: int,
    *,
    anchors_pem: bytes,
    key_pem: bytes | None = None,
    cert_pem: bytes | None = None,
    max_message_bytes: int = MESSAGE_LIMIT_BYTES,
    server_name: str = "",
) -> grpc.Channel:
    """Open a blocking channel that trusts the given anchors and nothing else."""
    credentials = _credentials(anchors_pem, key_pem, cert_pem)
    options = client_options(max_message_bytes, server_name=server_name)
    return grpc.secure_channel(target(host, port), credentials, options=options)


def _credentials(
    anchors_pem: bytes, key_pem: bytes | None, cert_pem: bytes | None
) -> grpc.ChannelCredentials:
    if not anchors_pem:
        # gRPC would fall back to the system's authorities.
        raise ValueError("a channel needs at least one anchor")
    return grpc.ssl_channel_credentials(anchors_pem, key_pem, cert_pem)


def _common(max_message_bytes: int, *, ping_seconds: int) -> Options:
    return [
        ("grpc.max_receive_message_length", max_message_bytes),
        ("grpc.max_send_message_length", max_message_bytes),
        ("grpc.max_metadata_size", METADATA_LIMIT_BYTES),
        ("grpc.keepalive_time_ms", ping_seconds * 1_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.ping_timeout_ms", 10_000),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
