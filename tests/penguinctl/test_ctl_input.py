"""What cannot be understood ends with 2 and a sentence, not with a traceback."""

import os
import subprocess

import pytest

from tests.penguinctl import samples
from tests.penguinctl.conftest import ENTRY

NOT_UTF_8 = b"\xe9"


def run(operator, *words, given=b""):
    done = subprocess.run(
        [ENTRY.encode(), *words],
        input=given,
        env=operator.environment(),
        capture_output=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize(
    "words",
    [
        (b"device", b"list", NOT_UTF_8),
        (b"device", b"show", NOT_UTF_8),
        (b"device", b"label", b"web-1", b"--add", NOT_UTF_8),
        (b"device", b"approve", b"new-1", b"--yes", b"--reason", NOT_UTF_8),
        (b"issue", b"open", b"web-1", b"--name", b"fan", b"--reason", NOT_UTF_8),
        (b"check", b"test", b"-"),
    ],
)
def test_text_that_is_not_utf_8(simulator, operator, words):
    samples.fill(simulator.state)
    code, said = run(operator, *words, given=NOT_UTF_8)
    said = said.splitlines()[-1]
    assert (code, "UTF-8" in said) == (2, True), said


def test_a_passphrase_that_is_not_utf_8_is_not_repeated(simulator, operator):
    samples.fill(simulator.state)
    path = operator.home / "other-passphrase"
    path.write_bytes(b"secret" + NOT_UTF_8)
    words = ["device", "approve", "new-1", "--yes", "--passphrase-file", str(path)]
    code, said = run(operator, *map(os.fsencode, words))
    assert (code, "secret" in said) == (2, False)


def test_a_time_before_all_calendars(simulator, operator):
    result = operator("trail", "--since", "0001-01-01", TZ="Asia/Tokyo")
    assert (result.code, "neither a span of time" in result.err) == (2, True)


def test_a_token_that_cannot_be_written_is_not_made(simulator, operator):
    result = operator("token", "create", "--output-file", "/nonexistent/token")
    assert (result.code, simulator.requests("CreateToken")) == (2, [])
    assert "Nothing was made" in result.err


@pytest.mark.parametrize("words", ["shell web-1", "cp a web-1:a", "run web-1 -- x"])
@pytest.mark.parametrize(
    "wrong",
    [
        ("--user", "a b", "'a b' is no account's name"),
        ("--user", "", "'' is no account's name"),
        ("--reason", "ü" * 2049, "it has more than 4096 bytes"),
    ],
)
def test_what_no_order_may_say_is_a_wrong_command_line(ctl, simulator, words, wrong):
    option, value, why = wrong
    noun, *rest = words.split()
    result = ctl(noun, option, value, *rest)
    assert (result.code, result.out) == (2, "")
    assert f"Invalid value for '{option}': {why}" in result.err
    assert simulator.calls == []
