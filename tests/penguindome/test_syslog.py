from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

import pytest

from penguindome import syslog
from penguindome.logs import LogSettings, logger, make_handler

if TYPE_CHECKING:
    from collections.abc import Iterator

    import logbook

PROGRAM = """
import sys, time
from penguindome import syslog
from penguindome.logs import LogSettings, install, logger
syslog.TIMEOUT_SECONDS = 1
began = time.monotonic()
install(LogSettings(handler="syslog", syslog_host="127.0.0.1", syslog_port=int(sys.argv[1])), "p")
assert time.monotonic() - began < 8
logger("one").warning("said {}", "here")
"""


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "TIMEOUT_SECONDS", 0.5)
    monkeypatch.setattr(syslog, "RETRY_SECONDS", 0.3)


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    monkeypatch.setattr(syslog.Listener, "__init__", _at(folder / "log"))
    yield folder / "log"
    shutil.rmtree(folder)


def _at(path: Path):  # type: ignore[no-untyped-def]
    before = syslog.Listener.__init__

    def init(self: syslog.Listener, host: str, port: int, protocol: str) -> None:
        before(self, host, port, protocol, str(path))

    return init


@contextlib.contextmanager
def logging_to(port: int = 514, **more: str) -> Iterator[tuple[logbook.Logger, str]]:
    host = "127.0.0.1" if port != 514 else ""
    settings = LogSettings(handler="syslog", syslog_host=host, syslog_port=port, **more)
    handler, warning = make_handler(settings, "program")
    try:
        with handler.applicationbound():
            yield logger("channel"), warning
    finally:
        handler.close()


def wait_for(capsys: pytest.CaptureFixture[str], word: str) -> str:
    found = ""
    end = time.monotonic() + 10
    while word not in found:
        assert time.monotonic() < end, found
        time.sleep(0.02)
        found += capsys.readouterr().err
    return found


def unused_port(kind: int = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def test_over_tcp_a_record_is_a_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with logging_to(server.getsockname()[1]) as (log, warning):
            assert not warning
            connection, _ = server.accept()
            log.warning("{}", "one\ntwo")
        with connection:
            data = connection.recv(4096).decode()
    assert data.startswith("<12>1 2")
    assert data.endswith(f" program {os.getpid()} - - channel: one\\x0atwo\n")


def test_over_udp_a_record_is_a_datagram() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        port = server.getsockname()[1]
        more = {"syslog_protocol": "udp", "syslog_facility": "local3"}
        with logging_to(port, **more) as (log, warning):
            assert not warning
            log.error("hello")
            log.info("x" * 100_000)
            assert server.recv(65536).startswith(b"<155>1 2")
            assert len(server.recv(65536)) == 8000


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_the_local_socket_may_be_of_either_kind(local: Path, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_UNIX, kind) as server:
        server.bind(str(local))
        server.settimeout(10)
        if kind == socket.SOCK_STREAM:
            server.listen()
        with logging_to() as (log, warning):
            assert not warning
            log.info("hello")
            source = server.accept()[0] if kind == socket.SOCK_STREAM else server
            data = source.recv(4096)
            source.close()
    expected = f"<14>program[{os.getpid()}]: channel: hello".encode()
    assert data == expected + (b"\0" if kind == socket.SOCK_STREAM else b"")


def test_one_that_is_away_is_used_once_it_is_there(
    local: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with logging_to() as (log, warning):
        assert "logging to syslog failed (" in warning
        log.info("first")
        assert "Z INFO channel: first" in wait_for(capsys, "first")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
            server.bind(str(local))
            server.settimeout(10)
            time.sleep(0.4)
            log.info("second")
            assert b"1 records went to stderr, 0 were lost" in server.recv(4096)
            assert server.recv(4096).endswith(b"second")


def test_one_that_dies_is_found_again(capsys: pytest.CaptureFixture[str]) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    with logging_to(port) as (log, _):
        server.accept()[0].close()
        server.close()
        log.info("first")
        said = wait_for(capsys, "channel: first")
        assert f"syslog at 127.0.0.1:{port}/tcp is away" in said
        with socket.create_server(("127.0.0.1", port)) as anew:
            time.sleep(0.4)
            log.info("second")
            connection, _ = anew.accept()
            with connection, connection.makefile("rb") as lines:
                assert b"1 records went to stderr" in lines.readline()
                assert lines.readline().endswith(b"second\n")


@pytest.mark.parametrize("kind", ["tcp", "local"])
def test_one_that_hangs_makes_nobody_wait(
    local: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    family = socket.AF_INET if kind == "tcp" else socket.AF_UNIX
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.bind(("127.0.0.1", 0) if kind == "tcp" else str(local))
        server.listen()
        port = server.getsockname()[1] if kind == "tcp" else 514
        with logging_to(port) as (log, _):
            longest = 0.0
            for _ in range(9000):
                began = time.monotonic()
                log.info("x" * 2000)
                longest = max(longest, time.monotonic() - began)
            assert longest < 0.3
            assert "timed out" in wait_for(capsys, "is away")
            began = time.monotonic()
        assert time.monotonic() - began < 5


def test_a_burst_beyond_the_queue_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syslog, "_QUEUE_LINES", 2)
    sender = syslog.Sender(syslog.Listener(path="/nonexistent"), 1, "p", lambda line: line.text)
    monkeypatch.setattr(sender, "_sent", lambda _: bool(time.sleep(0.2)))
    for number in range(10):
        sender.put(syslog.Line(6, "", str(number)))
    assert sender._lost >= 7
    sender.close()


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a..b", "127.0.0.1"])
def test_a_host_that_cannot_be_reached_means_stderr(
    host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = LogSettings(handler="syslog", syslog_host=host, syslog_port=unused_port())
    handler, warning = make_handler(settings, "p")
    assert "logging to syslog failed" in warning
    with handler.applicationbound():
        logger("x").warning("said {}", "here")
    handler.close()
    assert "Z WARNING x: said here" in capsys.readouterr().err


@pytest.mark.parametrize("journal", [False, True])
def test_a_program_whose_syslog_is_away_says_everything_on_stderr(
    tmp_path: Path, *, journal: bool
) -> None:
    with (tmp_path / "err").open("w+") as stream:
        found = os.fstat(stream.fileno())
        env = {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"} if journal else {}
        subprocess.run(
            [sys.executable, "-c", PROGRAM, str(unused_port())],
            stderr=stream,
            timeout=60,
            env={"PYTHONPATH": os.pathsep.join(sys.path), **env},
            check=True,
        )
    first, second, _ = (tmp_path / "err").read_text().split("\n")
    assert "p: logging to syslog failed ([Errno 111] Connection refused)" in first
    assert second.endswith("one: said here")
    assert (first[:3] == second[:3] == "<4>") is journal
