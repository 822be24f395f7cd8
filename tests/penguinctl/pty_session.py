"""A program at a terminal of its own, talked to while it runs."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time


class Session:
    """Keeps what the terminal got; `lines` says how high the terminal is."""

    def __init__(self, command, env, *, columns=100, lines=24):
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            # The terminal becomes the process's own, so that ctrl-C reaches it.
            ["setsid", "--ctty", *command],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={"TERM": "xterm", **env},
        )
        os.close(theirs)
        self.seen = ""

    def __enter__(self):
        return self

    def __exit__(self, *ending):
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(10)
        os.close(self._ours)

    def type(self, text):
        os.write(self._ours, text.encode())

    def forget(self):
        self.seen = ""

    def wait_for(self, text, seconds=20):
        """Read until a text has come, and return everything since `forget`."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, (text, self.seen)
            assert self._read(), (text, self.seen)
        return self.seen

    def ended(self, seconds=20):
        """Read to the end and return how the program ended."""
        end = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < end, self.seen
        return self.process.wait(10)

    def _read(self):
        if not select.select([self._ours], [], [], 0.2)[0]:
            return True
        try:
            piece = os.read(self._ours, 65536)
        except OSError:
            return False
        self.seen += piece.decode("utf-8", "replace")
        return bool(piece)
