"""Forget variables by which an environment would steer libraries behind the settings' back.

What acts before the first line of ours (LD_PRELOAD, PYTHONPATH, …) is unset by the service's unit.
PATH stays: it is how an administrator names a mongod.
Source: grpc/doc/environment_variables.md; OpenSSL's SSL_CTX_load_verify_locations(3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguindome.grpc_environment import SETTINGS

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_PREFIXES = ("GRPC_", "OPENSSL_", "SSL_")
_NAMES = frozenset({"SSLKEYLOGFILE", "GNUPGHOME"})


def forget_foreign_settings(environ: MutableMapping[str, str]) -> None:
    """Remove what gRPC, OpenSSL and users of proxies would obey; before gRPC is imported."""
    for name in list(environ):
        proxy = name.lower().endswith("_proxy")
        if proxy or name.startswith(_PREFIXES) or name in _NAMES:
            del environ[name]
    environ.update(SETTINGS)
