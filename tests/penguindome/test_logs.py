from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import logbook
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.display import printable
from penguindome.errors import InvalidInput
from penguindome.logs import LogSettings, logger, make_handler

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PROGRAM = """
import logging
from penguindome.logs import LogSettings, install, logger
install(LogSettings(level="debug"), "program")
logger("one").info("hello {}", "a\\nb")
logging.getLogger("two").debug("a step of a library")
logging.getLogger("two").warning("from %s", "there")
logger("three").debug("{} {}", 1)
"""


def written(act: Callable[[logbook.Logger], None], path: Path) -> list[str]:
    """Return the lines that records leave in a file."""
    path.unlink(missing_ok=True)
    handler, warning = make_handler(LogSettings(handler="file", level="debug", file=str(path)), "p")
    assert not warning
    with handler.applicationbound():
        act(logger("channel"))
    handler.close()
    return path.read_text().split("\n")[:-1]


@given(message=st.text(), value=st.text(st.characters()))
def test_every_record_is_one_printable_line(
    tmp_path_factory: pytest.TempPathFactory, message: str, value: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.log"
    lines = written(lambda log: log.info(message, value), path)
    assert len(lines) == 1
    assert printable(lines[0]) == lines[0]


@pytest.mark.parametrize("message", ["{} {}", "{name}", "{0.__class__.nothing}", "{", "{:d}", "%s"])
def test_wrong_placeholders_lose_no_record(tmp_path: Path, message: str) -> None:
    (line,) = written(lambda log: log.error(message, "value"), tmp_path / "a.log")
    assert "ERROR channel: " in line
    assert message == "%s" or "value" in line


def test_a_value_that_cannot_be_shown_loses_no_record(tmp_path: Path) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise RuntimeError

        __repr__ = __str__

    (line,) = written(lambda log: log.error("{}", Hostile()), tmp_path / "a.log")
    assert "unformattable" in line


def test_a_traceback_stays_on_its_line(tmp_path: Path) -> None:
    def act(log: logbook.Logger) -> None:
        try:
            int("bad\nnews")
        except ValueError:
            log.exception("it {}", "failed")

    (line,) = written(act, tmp_path / "a.log")
    assert "it failed" in line
    assert line.endswith(r"base 10: 'bad\nnews'")


def test_levels_are_kept(tmp_path: Path) -> None:
    handler, _ = make_handler(
        LogSettings(handler="rotating-file", level="warning", file=str(tmp_path / "a")), "p"
    )
    with handler.applicationbound():
        logger("x").info("quiet")
        logger("x").warning("loud")
    handler.close()
    assert (tmp_path / "a").read_text().endswith("Z WARNING x: loud\n")


@pytest.mark.parametrize(
    "settings",
    [
        LogSettings(handler="nonsense"),
        LogSettings(level="loud"),
        LogSettings(handler="syslog", syslog_facility="kitchen"),
        LogSettings(handler="file"),
        LogSettings(handler="mail"),
        LogSettings(handler="group"),
    ],
)
def test_bad_settings_are_refused(settings: LogSettings) -> None:
    with pytest.raises(InvalidInput) as caught:
        make_handler(settings, "p")
    assert caught.value.subject == "logging"


@pytest.mark.parametrize("name", ["null", "stderr", "test", "Stderr"])
def test_handlers_go_by_logbooks_names(name: str) -> None:
    handler, warning = make_handler(LogSettings(handler=name), "p")
    assert isinstance(handler, logbook.Handler)
    assert not warning


def run(**environment: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        timeout=60,
        env={"PYTHONPATH": os.pathsep.join(sys.path), **environment},
        check=True,
    )
    return done.stderr.decode().split("\n")


def test_installing_takes_the_standard_librarys_records_too() -> None:
    one, two, three, _ = run()
    assert one.endswith("INFO one: hello a\\x0ab")
    assert two.endswith("WARNING two: from there")
    assert three.endswith("DEBUG three: {} {} (1,) {}")
    assert logging.root.handlers is not None


def test_libraries_do_not_build_records_of_every_step() -> None:
    lines = run()
    assert not any("a step" in line for line in lines)


def test_the_journal_gets_priorities(tmp_path: Path) -> None:
    with (tmp_path / "err").open("w+") as stream:
        found = os.fstat(stream.fileno())
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            stderr=stream,
            timeout=60,
            env={
                "PYTHONPATH": os.pathsep.join(sys.path),
                "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}",
            },
            check=True,
        )
    lines = (tmp_path / "err").read_text().split("\n")
    assert lines[:2] == ["<6>one: hello a\\x0ab", "<4>two: from there"]
