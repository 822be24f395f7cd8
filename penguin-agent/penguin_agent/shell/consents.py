"""Ask the people at the device whether a session may begin."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.errors import NotFound

if TYPE_CHECKING:
    from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Question:
    """A session that waits for an answer."""

    order_id: str
    operator: str
    user: str
    reason: str


class Consents:
    """Questions that wait; the control socket answers them."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Question, asyncio.Future[bool]]] = {}

    async def ask(self, question: Question, wait: timedelta) -> bool:
        """Wait for an answer; no answer in time is a no."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[question.order_id] = (question, answer)
        try:
            async with asyncio.timeout(wait.total_seconds()):
                return await answer
        except TimeoutError:
            return False
        finally:
            del self._waiting[question.order_id]

    def waiting(self) -> list[Question]:
        """Return the questions that wait."""
        return [question for question, _ in self._waiting.values()]

    def answer(self, order_id: str, *, agreed: bool) -> Question:
        """Answer a question; without an id the only one.

        Raises:
            NotFound: There is no such question, or it is not clear which one is meant.
        """
        if not order_id and len(self._waiting) == 1:
            order_id = next(iter(self._waiting))
        if order_id not in self._waiting:
            raise NotFound(
                "no session waits for your consent" if not self._waiting else "which session?",
                subject=order_id,
                remedy="penguin-agent sessions lists those that wait",
            )
        question, answer = self._waiting[order_id]
        if not answer.done():
            answer.set_result(agreed)
        return question
