"""TokenService: enrollment tokens."""

from __future__ import annotations

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penguind.caller import caller
from penguind.domain.token import Token, clean_cidrs
from penguind.identity.custody import check_labels
from penguindome.errors import InvalidInput, NotFound
from penguindome.times import to_unix_ms
from penguindome.tokens import hash_secret
from penguindome.v1 import token_pb2 as pb
from penguindome.v1.token_pb2_grpc import TokenServiceServicer

if TYPE_CHECKING:
    from penguind.domain.advertised import Advertised
    from penguind.store.tokens import TokenStore
    from penguindome.times import Clock

_USES_ALLOWED = 10_000
_SHORTEST_SECONDS = 60
_LONGEST_SECONDS = 31_536_000
_NOTE_LIMIT = 500


class TokenService(TokenServiceServicer):
    """Serves operators."""

    def __init__(self, tokens: TokenStore, advertised: Advertised, clock: Clock) -> None:
        self._tokens = tokens
        self._advertised = advertised
        self._clock = clock

    async def CreateToken(  # noqa: N802 -- gRPC's
        self,
        request: pb.CreateTokenRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.CreateTokenResponse:
        """Make a token; the secret is in this answer and nowhere else."""
        token_id, secret = secrets.token_bytes(8), secrets.token_bytes(32)
        token = self._token(request, token_id, secret)
        await self._tokens.insert(token)
        return pb.CreateTokenResponse(
            token_id=token_id,
            secret=secret,
            advertised_host=self._advertised.host,
            main_port=self._advertised.main_port,
            bootstrap_port=self._advertised.bootstrap_port,
            expires_unix_ms=to_unix_ms(token.expires_time),
        )

    async def ListTokens(  # noqa: N802 -- gRPC's
        self,
        request: pb.ListTokensRequest,  # noqa: ARG002
        context: Any,  # noqa: ARG002
    ) -> pb.ListTokensResponse:
        """Return all tokens."""
        now = self._clock()
        found = await self._tokens.newest_first()
        return pb.ListTokensResponse(tokens=[_message(token, token.state(now)) for token in found])

    async def RevokeToken(  # noqa: N802 -- gRPC's
        self,
        request: pb.RevokeTokenRequest,
        context: Any,  # noqa: ARG002
    ) -> pb.RevokeTokenResponse:
        """End a token."""
        if not await self._tokens.revoke(request.token_id):
            raise NotFound("there is no such token", code="no-token", subject=request.token_id[:64])
        return pb.RevokeTokenResponse()

    def _token(self, request: pb.CreateTokenRequest, token_id: bytes, secret: bytes) -> Token:
        if not 1 <= request.max_uses <= _USES_ALLOWED:
            raise InvalidInput(f"a token has 1 to {_USES_ALLOWED} uses", subject="max_uses")
        if not _SHORTEST_SECONDS <= request.ttl_seconds <= _LONGEST_SECONDS:
            raise InvalidInput("a token is valid for a minute to a year", subject="ttl_seconds")
        check_labels(request.labels)
        now = self._clock()
        return Token(
            token_id=token_id.hex(),
            secret_hash=hash_secret(secret),
            max_uses=request.max_uses,
            uses=0,
            created_time=now,
            expires_time=now + timedelta(seconds=request.ttl_seconds),
            created_by=caller().name,
            cidrs=clean_cidrs(tuple(request.cidrs)),
            needs_approval=request.needs_approval,
            labels=tuple(sorted(set(request.labels))),
            note=request.note[:_NOTE_LIMIT],
        )


def _message(token: Token, state: str) -> pb.Token:
    return pb.Token(
        token_id=token.token_id,
        state=state,
        uses=token.uses,
        max_uses=token.max_uses,
        expires_unix_ms=to_unix_ms(token.expires_time),
        created_by=token.created_by,
        created_unix_ms=to_unix_ms(token.created_time),
        cidrs=token.cidrs,
        needs_approval=token.needs_approval,
        labels=token.labels,
        note=token.note,
    )
