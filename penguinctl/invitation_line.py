"""The one line that a new operator needs, assembled from what this operator pinned.

As with tokens, the server gives only id and secret: one that fell to an attacker cannot have
penguinctl print an invitation to the attacker's own server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from penguindome import certs
from penguindome.tokens import Invitation, encode_invitation

if TYPE_CHECKING:
    from penguinctl.app import App
    from penguindome.v1 import operator_pb2


def assemble(
    app: App, name: str, response: operator_pb2.InviteOperatorResponse, trust_hash: bytes
) -> str:
    """Return the invitation's line."""
    return encode_invitation(
        Invitation(
            anchor=certs.pem_to_der(app.folder.read("anchor.pem")),
            fleet=app.profile.fleet,
            invitation_id=response.invitation_id,
            secret=response.secret,
            host=response.advertised_host,
            main_port=response.main_port,
            bootstrap_port=response.bootstrap_port,
            operator_name=name,
            trust_hash=trust_hash,
        )
    )
