"""Notice a link on which nothing arrives any more, although nobody closed it.

The connection's own pings are as rare as a thousand idle laptops want them; a session cannot wait
for those. While one lasts its end asks the server every two seconds, and whatever comes is an
answer. Beats are counted, not seconds: a program that was suspended has not lost its link.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from penguindome.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

BEAT_SECONDS = 2.0
MISSED_BEATS = 3
SILENT = "silent-link"


class Pulse:
    """The pulse of one stream.

    Args:
        beat: Sends what has to be answered.
        beat_seconds: How often.
    """

    def __init__(self, beat: Callable[[], None], beat_seconds: float = BEAT_SECONDS) -> None:
        self._beat = beat
        self._seconds = beat_seconds
        self._missed = 0

    def heard(self) -> None:
        """Note that something came."""
        self._missed = 0

    async def run(self) -> None:
        """Ask until nothing is answered.

        Raises:
            Unavailable: `silent-link`: nothing came for three beats.
        """
        while self._missed < MISSED_BEATS:
            self._missed += 1
            self._beat()
            await asyncio.sleep(self._seconds)
        raise Unavailable("nothing comes over the connection any more", code=SILENT)
