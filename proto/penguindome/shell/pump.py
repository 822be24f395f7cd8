"""Write down one way what there is to write, one after the other, and at once what finds it idle.

A task that is woken runs in the event loop's next round. What finds nothing before it is begun in
the very moment instead, and ended in the callback that hears of its end: each keystroke passes four
such ways, and the processor that it goes on with is often the one that is busy here.
"""

from __future__ import annotations

import asyncio
import types
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

T = TypeVar("T")


@types.coroutine
def pause() -> Generator[None, None, None]:
    """Let others go first; wait for nothing."""
    yield


class Begun:
    """A coroutine that has run to its first pause already; awaited for the rest, and its errors.

    Python 3.12 has such tasks: eager ones.
    """

    def __init__(self, work: Coroutine[Any, Any, None]) -> None:
        self._work = work
        # StopIteration where it ended well.
        self._end: BaseException | None = None
        # Who is told of the end while no task awaits it.
        self._told: Callable[[], None] | None = None
        self._paused = self._run(work.send, None)

    @property
    def has_failed(self) -> bool:
        """Tell whether it ended with an error, which is raised where it is awaited."""
        return self._end is not None and not isinstance(self._end, StopIteration)

    def go_on(self, told: Callable[[], None]) -> None:
        """Run on from callback to callback, without a task, until it is awaited after all.

        Args:
            told: is called at the end, perhaps now.
        """
        self._told = told
        if self._end is not None:
            told()
        elif self._paused is None:
            asyncio.get_running_loop().call_soon(self._resume)
        else:
            self._paused.add_done_callback(self._resume)

    def _resume(self, _future: Any = None) -> None:
        if self._told is not None:
            self._paused = self._run(self._work.send, None)
            self.go_on(self._told)

    def stop(self, why: BaseException) -> None:
        """Raise an error in it; it has to be awaited then, for it may have to clean up."""
        self._told = None
        if self._end is None:
            self._paused = self._run(self._work.throw, why)

    def _run(self, step: Callable[[Any], Any], argument: BaseException | None) -> Any:
        """Run to the next pause; return what is waited for there."""
        try:
            return step(argument)
        except BaseException as end:  # noqa: BLE001 -- raised where it is awaited
            self._end = end
            return None

    def step(self) -> bool:
        """Run on to the next pause, unless something is waited for; tell whether it did."""
        if self._end is not None or self._paused is not None:
            return False
        self._paused = self._run(self._work.send, None)
        return True

    async def rest(self) -> None:
        """Run to the end, and past every mere pause at once."""
        while self.step():
            pass
        await self

    def __await__(self) -> Generator[Any, Any, None]:
        """Run on."""
        self._told = None
        while self._end is None:
            try:
                yield self._paused
            except BaseException as error:  # noqa: BLE001 -- the coroutine's own affair
                self._paused = self._run(self._work.throw, error)
            else:
                self._paused = self._run(self._work.send, None)
        if not isinstance(self._end, StopIteration):
            raise self._end


class Pump(Generic[T]):
    """Has one thing written at a time.

    Args:
        take: returns and removes what is next, None when nothing waits.
    """

    def __init__(self, take: Callable[[], T | None]) -> None:
        self._take = take
        self._wake = asyncio.Event()
        self._write: Callable[[T], Coroutine[Any, Any, None]] | None = None
        self._begun: Begun | None = None
        self._is_idle = False

    def begin(self, what: T) -> bool:
        """Begin to write something; False where it has to wait for its turn.

        Nothing waits where this begins: whoever has something wait tells so by `wake`.
        """
        if self._write is None or not self._is_idle:
            return False
        self._is_idle = False
        self._begun = Begun(self._write(what))
        self._begun.go_on(self._ended)
        return True

    def _ended(self) -> None:
        """Leave an error to `run`; be idle again unless something waits."""
        if self._begun is not None and self._begun.has_failed:
            self._wake.set()
        else:
            self._begun, self._is_idle = None, not self._wake.is_set()

    def wake(self) -> None:
        """Tell that something waits, or that `run` may be over."""
        self._is_idle = False
        self._wake.set()

    async def run(
        self,
        write: Callable[[T], Coroutine[Any, Any, None]],
        is_over: Callable[[], bool] = lambda: False,
    ) -> None:
        """Write until nothing waits and it is over, or writing fails."""
        self._write = write
        try:
            while True:
                begun, self._begun = self._begun, None
                if begun is not None:
                    await begun
                elif (what := self._take()) is not None:
                    await write(what)
                elif is_over():
                    return
                else:
                    self._wake.clear()
                    self._is_idle = True
                    await self._woken()
        finally:
            self._write, self._begun, self._is_idle = None, None, False

    async def _woken(self) -> None:
        try:
            await self._wake.wait()
        except asyncio.CancelledError as told:
            if self._begun is not None:
                self._begun.stop(told)
                await self._begun
            raise
