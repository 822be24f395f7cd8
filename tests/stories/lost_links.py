"""A session whose streams are known byte for byte, while its links are lost."""

import getpass
import hashlib
import json
import pathlib
import subprocess
import threading
import time
from typing import Self

from tests.stories.shells import NOTHING, env_of

# Prints numbered lines of all lengths for a while, and keeps what is typed.
FAR = """
import hashlib, pathlib, sys, threading, time
path, seconds = pathlib.Path(sys.argv[1]), float(sys.argv[2])
def keep():
    with path.open("wb") as file:
        while data := sys.stdin.buffer.read1(65536):
            file.write(data)
            file.flush()
keeper = threading.Thread(target=keep)
keeper.start()
end, number = time.monotonic() + seconds, 0
while time.monotonic() < end:
    for _ in range(20):
        number += 1
        print(number, hashlib.sha256(b"%d" % number).hexdigest() * (number % 17), flush=True)
    time.sleep(0.02)
keeper.join()
print("lines", number, flush=True)
"""


class Exchange:
    """One session: types numbered lines, keeps what is shown, and compares both in the end."""

    def __init__(self, operator, port, device, folder: pathlib.Path, seconds: float) -> None:
        """Take who opens it, by which port, on which device, and how long it prints."""
        folder.chmod(0o755)
        self._kept = folder / f"typed{time.monotonic_ns()}"
        script = folder / "far.py"
        script.write_text(FAR, encoding="utf-8")
        env = env_of(operator)
        program = ["/usr/bin/python3", str(script), str(self._kept), str(seconds)]
        words = ["penguinctl", "--server", f"127.0.0.1:{port}", "shell", device]
        words += ["--user", getpass.getuser(), "-T", "--", *program]
        self._process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=env, cwd="/",
        )  # fmt: skip
        self.shown = bytearray()
        self._typed = bytearray()
        self.over = threading.Event()
        self._ends = time.monotonic() + seconds
        self._threads = [threading.Thread(target=one) for one in (self._read, self._type)]

    def __enter__(self) -> Self:
        """Begin; returns once something was shown."""
        for one in self._threads:
            one.start()
        limit = time.monotonic() + 30
        while not self.shown and time.monotonic() < limit and self._process.poll() is None:
            time.sleep(0.05)
        if not self.shown:
            self.over.set()
            self._process.terminate()
            raise AssertionError(f"nothing was shown: {self._process.stderr.read()}")
        return self

    def __exit__(self, kind, *_: object) -> None:
        """End everything; where nothing went wrong before, compare."""
        try:
            if kind is None:
                self.compare()
        finally:
            self.over.set()
            if self._process.poll() is None:
                self._process.terminate()
            for one in self._threads:
                one.join(20)
            self._process.wait(20)
            for stream in (self._process.stdout, self._process.stderr):
                stream.close()

    def compare(self) -> None:
        """Wait for the end, and find both streams as if nothing had happened."""
        for one in self._threads:
            one.join(max(self._ends - time.monotonic(), 0) + 90)
        error = self._process.stderr.read()
        assert self._process.wait(30) == 0, error
        *lines, last = bytes(self.shown).splitlines()
        assert last == b"lines %d" % len(lines), (last, len(lines), error)
        assert lines == [_line(number) for number in range(1, len(lines) + 1)]
        assert self._kept.read_bytes() == bytes(self._typed)
        self._kept.unlink()

    def _read(self) -> None:
        while data := self._process.stdout.read1(65536):
            self.shown += data

    def _type(self) -> None:
        """Type for as long as the program prints; after that it is told that there is no more."""
        number = 0
        while time.monotonic() < self._ends and not self.over.is_set():
            number += 1
            line = b"%d %s\n" % (number, b"x" * (number % 300))
            try:
                self._process.stdin.write(line)
                self._process.stdin.flush()
            except OSError:
                return
            self._typed += line
            time.sleep(0.01)
        self._process.stdin.close()


def _line(number: int) -> bytes:
    return b"%d %s" % (number, hashlib.sha256(b"%d" % number).hexdigest().encode() * (number % 17))


def device_by(fleet, port):
    """Return a device that dials a port of its own, once it has reported."""
    device = fleet.device(plugins=fleet.plugins(nothing=NOTHING))
    device.enroll(fleet.alice.token())
    path = device.folder / "state/identity/device.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "main_port": port}))
    device.start()
    fleet.wait_for_report(device)
    return device
