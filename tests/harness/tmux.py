"""A terminal with a screen: a program in tmux, as a person sees it and types into it."""

import pathlib
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from typing import Self

from tests.harness.process import wait_until


class Tmux:
    """One window; leaving it ends the program and tmux itself."""

    def __init__(
        self,
        folder: pathlib.Path,
        words: Sequence[object],
        env: Mapping[str, str],
        *,
        columns: int = 80,
        lines: int = 24,
    ) -> None:
        """Take what runs in it.

        Args:
            folder: Short; tmux's socket is put there.
            words: The program.
            env: All that it gets to see; tmux adds TERM and its own.
            columns: How broad the window is.
            lines: How high.

        """
        self._socket = folder / "tmux"
        self._env = {**env, "TERM": "xterm-256color"}
        self._words = [str(word) for word in words]
        self._size = (columns, lines)

    def __enter__(self) -> Self:
        """Start."""
        columns, lines = map(str, self._size)
        size = ("-x", columns, "-y", lines)
        set_up = ("set-option", "-g", "status", "off", ";", "set-option", "-g", "escape-time", "0")
        self._run(*set_up, ";", "new-session", "-d", *size, shlex.join(self._words))
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._run("kill-server", check=False)

    def type(self, text: str) -> None:
        """Type characters as they are."""
        self._run("send-keys", "-l", "--", text)

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names, e.g. `Enter`, `C-c`, `Escape`."""
        self._run("send-keys", *keys)

    def line(self, text: str) -> None:
        """Type a line."""
        self.type(text)
        self.press("Enter")

    def screen(self) -> str:
        """Return what is on the screen."""
        return self._run("capture-pane", "-p")

    def see(self, text: str, seconds: float = 20) -> str:
        """Wait until a text is on the screen; return the screen."""
        try:
            wait_until(lambda: text in self.screen(), seconds, text)
        except AssertionError:
            raise AssertionError(f"{text!r} is not on the screen:\n{self.screen()}") from None
        return self.screen()

    def see_no_more(self, text: str, seconds: float = 20) -> None:
        """Wait until a text has gone from the screen."""
        wait_until(lambda: text not in self.screen(), seconds, f"{text!r} stays")

    def title(self) -> str:
        """Return the title that programs gave the window."""
        return self._run("display-message", "-p", "#{pane_title}").strip()

    def resize(self, columns: int, lines: int) -> None:
        """Make the window larger or smaller."""
        self._run("resize-window", "-x", str(columns), "-y", str(lines))

    def _run(self, *words: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-f", "/dev/null", "-S", str(self._socket), *words],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
            env=self._env,
            cwd="/",
        )
        assert done.returncode == 0 or not check, done.stderr
        return done.stdout
