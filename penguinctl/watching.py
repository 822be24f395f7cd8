"""Showing an answer again and again, until the person at the terminal has seen enough.

On a terminal each round is drawn over the one before, on the alternate screen, which is left again
however the watch ends. Elsewhere rounds are printed one after another. A server that goes away is
waited for.
"""

from __future__ import annotations

import contextlib
import functools
import io
import math
import os
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

import click

from penguinctl import ui, view
from penguinctl.app import App
from penguindome.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    _Type = click.ParamType[float]
else:
    # Older releases of click cannot be subscripted.
    _Type = click.ParamType

DEFAULT_SECONDS = 5.0
LEAST_SECONDS = 1.0
_MOST_SECONDS = 86_400.0
# The alternate screen, no cursor, no wrapping of long lines.
_ENTER = "\x1b[?1049h\x1b[?25l\x1b[?7l"
_LEAVE = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME, _REST_OF_LINE, _REST_OF_SCREEN = "\x1b[H", "\x1b[K", "\x1b[J"
# A header, an empty line below it, and what a server that went away is told with.
_OTHER_LINES = 3


class Seconds(_Type):
    """A pause between two rounds."""

    name = "seconds"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """Return the pause."""
        try:
            seconds = float(value)
        except ValueError:
            self.fail(
                f"'{value}' is no number of seconds: write --watch=5, or --watch at the end",
                param,
                ctx,
            )
        if not (math.isfinite(seconds) and LEAST_SECONDS <= seconds <= _MOST_SECONDS):
            self.fail(f"{value} is not from {LEAST_SECONDS:g} to {_MOST_SECONDS:g}", param, ctx)
        return seconds


class Terminated(BaseException):
    """The process was told to end by a signal."""


class Frame(io.StringIO):
    """Text that is kept until it is shown on a terminal."""

    def isatty(self) -> bool:
        """Tell that people will read it, so that widths and colours are theirs."""
        return True


def _remember(context: click.Context, parameter: click.Parameter, seconds: float | None) -> None:
    del context, parameter
    view.current().watch_seconds = seconds


def watch_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --watch, and run it as often as that says."""

    @functools.wraps(function)
    def watched(*arguments: Any, **options: Any) -> Any:
        asked = view.current()
        if asked.watch_seconds is None:
            return function(*arguments, **options)
        app = click.get_current_context().find_object(App)
        assert app is not None  # noqa: S101 -- the group made it
        return _watch(app, lambda: function(*arguments, **options), asked)

    return click.option(
        "--watch",
        type=Seconds(),
        is_flag=False,
        flag_value=f"{DEFAULT_SECONDS:g}",
        expose_value=False,
        callback=_remember,
        metavar="[SECONDS]",
        help=f"Show it again and again, every {DEFAULT_SECONDS:g} s if no time is given.",
    )(watched)


def _watch(app: App, once: Callable[[], Any], asked: view.View) -> NoReturn:
    form = click.get_current_context().params.get("output_format", "table")
    redraws = sys.stdout.isatty() and ui.obeys_sequences() and form != "ndjson"
    rounds = _Screen(once, asked) if redraws else _Printed(once)
    pause = asked.watch_seconds or DEFAULT_SECONDS
    with _signals(), rounds:
        while True:
            rounds.turn(app)
            time.sleep(pause)
            app.begin_round()
            asked.round += 1


class _Printed:
    """Rounds one after another."""

    def __init__(self, once: Callable[[], Any]) -> None:
        self._once = once
        self._away = False

    def __enter__(self) -> None:
        """Begin; nothing has to be prepared."""

    def __exit__(self, *ending: object) -> None:
        """End; nothing has to be restored."""

    def turn(self, app: App) -> None:
        """Show one round, or say that the server is away."""
        try:
            _quietly(self._once)
        except Unavailable as error:
            app.reconnect()
            if not self._away:
                ui.note(f"penguinctl: {error.text()} — trying again")
            self._away = True
            return
        if self._away:
            ui.note("penguinctl: the server is back")
        self._away = False
        sys.stdout.flush()


class _Screen:
    """Rounds drawn over each other."""

    def __init__(self, once: Callable[[], Any], asked: view.View) -> None:
        self._once = once
        self._pause = asked.watch_seconds or DEFAULT_SECONDS
        self._terminal = sys.stdout
        self._last = ""

    def __enter__(self) -> None:
        """Go to the alternate screen; also when the person comes back from a shell."""
        signal.signal(signal.SIGTSTP, self._step_aside)
        self._put(_ENTER)

    def __exit__(self, *ending: object) -> None:
        """Come back from the alternate screen."""
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        self._put(_LEAVE)

    def _step_aside(self, number: int, frame: FrameType | None) -> None:
        """Leave the screen to the shell after ctrl-Z."""
        del frame
        self._put(_LEAVE)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
        self.__enter__()

    def _put(self, sequences: str) -> None:
        # Past the buffer, as a signal may have come while something was written.
        os.write(self._terminal.fileno(), sequences.encode())

    def turn(self, app: App) -> None:
        """Draw one round; where the server is away, the last one and that it is so."""
        frame, problem = Frame(), ""
        try:
            with contextlib.redirect_stdout(frame), contextlib.redirect_stderr(frame):
                _quietly(self._once)
        except Unavailable as error:
            app.reconnect()
            problem = f"{error.text()} — trying again"
        else:
            self._last = frame.getvalue()
        self._draw(app, problem)

    def _draw(self, app: App, problem: str) -> None:
        size = shutil.get_terminal_size((80, 24))
        lines = self._last.replace("\r\n", "\n").split("\n")
        while lines and not lines[-1]:
            lines.pop()
        room = max(1, size.lines - _OTHER_LINES - 1)
        if len(lines) > room:
            lines = [*lines[: room - 1], f"… {len(lines) - room + 1} more lines"]
        now = app.now.astimezone().strftime("%H:%M:%S")
        head = Frame()
        ui.write(head, (ui.Styled(f"Every {self._pause:g} s; {now}; ctrl-C ends.", "dim"),), "\n")
        if problem:
            ui.write(head, (ui.Styled(problem.replace("\n", " "), "red"),), "\n")
        drawn = [*head.getvalue().split("\n"), *lines]
        whole = "".join(f"{line}{_REST_OF_LINE}\r\n" for line in drawn)
        self._terminal.write(f"{_HOME}{whole}{_REST_OF_SCREEN}")
        self._terminal.flush()


def _quietly(once: Callable[[], Any]) -> None:
    """Run a command once; that nothing matches does not end a watch."""
    with contextlib.suppress(click.exceptions.Exit):
        once()


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """End as told: well by ctrl-C, by the same signal for others, once all is restored."""

    def end(number: int, frame: FrameType | None) -> NoReturn:
        del frame
        raise Terminated(number)

    ends = (signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, end) for number in ends}
    try:
        yield
    except KeyboardInterrupt:
        raise click.exceptions.Exit(0) from None
    except Terminated as told:
        number = told.args[0]
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
