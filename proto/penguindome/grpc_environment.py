"""What gRPC has to find in a program's environment; it reads it when it is imported."""

from __future__ import annotations

SETTINGS = {
    # Its own words go past our log; errors of connections are their callers' affair.
    "GRPC_VERBOSITY": "NONE",
    # A child process must not inherit gRPC's threads; https://github.com/grpc/grpc/issues/14258.
    "GRPC_ENABLE_FORK_SUPPORT": "0",
    # Its newer event engine hands every message from thread to thread once more, which a keystroke
    # meets four times. A release that knows no such choice ignores it.
    "GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener",
}
