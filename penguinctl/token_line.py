"""The one line that a new device needs, assembled from what this operator pinned.

The server gives only id and secret: a server that fell to an attacker cannot make penguinctl print
a token that pins the attacker's trust.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from penguinctl import trust_renewal
from penguinctl.trust_store import TrustStore
from penguindome import certs, durable
from penguindome.errors import InvalidInput
from penguindome.tokens import EnrollmentToken, encode_token

if TYPE_CHECKING:
    from pathlib import Path

    from penguinctl.app import App
    from penguindome.v1 import token_pb2


def pinned_trust_hash(app: App) -> bytes:
    """Return the hash that a token pins, after a look for newer trust documents.

    The operator is told if the document ends soon.

    Raises:
        PreconditionFailed: This operator holds no trust document yet.
        NotVerified: The server's documents do not continue ours.
    """
    store = TrustStore(app.folder)
    store.refresh(app.session, app.now)
    trust_renewal.warn(store.current(), app.now)
    return store.pin()


def assemble(app: App, response: token_pb2.CreateTokenResponse, trust_hash: bytes) -> str:
    """Return the token's line."""
    return encode_token(
        EnrollmentToken(
            anchor=certs.pem_to_der(app.folder.read("anchor.pem")),
            fleet=app.profile.fleet,
            trust_hash=trust_hash,
            token_id=response.token_id,
            secret=response.secret,
            host=response.advertised_host,
            main_port=response.main_port,
            bootstrap_port=response.bootstrap_port,
        )
    )


def check_writable(path: Path) -> None:
    """Check, before a token is made, that its file can be written.

    Raises:
        InvalidInput: Its folder does not exist or may not be written to.
    """
    if not os.access(path.absolute().parent, os.W_OK | os.X_OK):
        raise InvalidInput(
            "the token cannot be written there",
            subject=str(path),
            remedy="Nothing was made; give a file in a folder of yours",
        )


def write(path: Path, line: str) -> None:
    """Write a token's line to a file that only its owner can read."""
    durable.write_file(path.absolute(), f"{line}\n".encode(), 0o600)
