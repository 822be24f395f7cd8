"""The generated modules, imported when first used, so that --help stays quick."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penguindome.v1 import (
        alert_pb2,
        bootstrap_pb2,
        check_pb2,
        device_pb2,
        envelope_pb2,
        issue_pb2,
        ledger_pb2,
        operator_pb2,
        order_pb2,
        parameter_pb2,
        release_pb2,
        server_pb2,
        shell_pb2,
        token_pb2,
        trail_pb2,
        trust_pb2,
    )

__all__ = [
    "alert_pb2",
    "bootstrap_pb2",
    "check_pb2",
    "device_pb2",
    "envelope_pb2",
    "issue_pb2",
    "ledger_pb2",
    "operator_pb2",
    "order_pb2",
    "parameter_pb2",
    "release_pb2",
    "server_pb2",
    "shell_pb2",
    "token_pb2",
    "trail_pb2",
    "trust_pb2",
]


def __getattr__(name: str) -> Any:
    """Import a generated module of the protocol by its name."""
    if not name.endswith(("_pb2", "_pb2_grpc")):
        raise AttributeError(name)
    return importlib.import_module(f"penguindome.v1.{name}")
