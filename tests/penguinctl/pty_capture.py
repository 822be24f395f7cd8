"""Running a program at a terminal of its own."""

import contextlib
import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
import time


def run_in_terminal(command, typed, columns, env):
    """Return exit code and everything that the terminal got, as text."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    attributes = termios.tcgetattr(theirs)
    attributes[1] &= ~termios.OPOST
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, attributes)
    process = subprocess.Popen(
        command, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    )
    os.close(theirs)
    try:
        if typed:
            os.write(ours, typed)
        data = _read_all(ours, time.monotonic() + 60)
        return process.wait(10), data.decode()
    finally:
        os.close(ours)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait(10)


def _read_all(descriptor, deadline):
    data = b""
    while time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 1)[0]:
            continue
        try:
            piece = os.read(descriptor, 65536)
        except OSError:
            # Linux's way of saying that the other side is closed.
            return data
        if not piece:
            return data
        data += piece
    raise TimeoutError
