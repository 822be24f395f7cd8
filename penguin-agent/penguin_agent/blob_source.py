"""Where contents that orders name come from: the connection, while there is one."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

from penguindome.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from penguin_agent.link import Link


class LinkBlobs:
    """Contents through the link.

    Args:
        link: Has the connection.
    """

    def __init__(self, link: Link) -> None:
        self._link = link

    async def fetch(self, order_id: str, sha256: str, offset: int) -> AsyncGenerator[bytes, None]:
        """Yield a content that an order names, from an offset on.

        Raises:
            Unavailable: There is no connection, or it was lost: try again.
            PenguinDomeError: The server refuses.
        """
        connection = self._link.connection
        if connection is None:
            raise Unavailable("there is no connection to the server", code="not-connected")
        async with aclosing(connection.fetch_blob(order_id, sha256, offset)) as stream:
            async for data in stream:
                yield data
