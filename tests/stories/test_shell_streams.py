"""Remote programs without a terminal: exact bytes, exact statuses, any kind of stream."""

import os
import pathlib
import subprocess
import time

import pytest

from tests.harness.process import wait_until
from tests.stories.shells import ended, env_of, known_device_of, run, shell_words

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]
ALLOWED = {"HOME", "USER", "LOGNAME", "SHELL", "PATH", "PD_ORDER_ID", "TERM", "LANG"}


@pytest.fixture(scope="module")
def agent(fleet):
    return known_device_of(fleet)


@pytest.mark.parametrize("status", [0, 3, 127, 143, 255])
def test_exit_statuses_are_the_programs(fleet, agent, status):
    assert run(fleet.alice, agent.device_id(), "--", f"exit {status}").returncode == status


@pytest.mark.parametrize(
    ("program", "status"),
    [
        (["kill -TERM $$"], 143),
        (["sh", "-c", "kill -KILL $$"], 137),
        (["/no/such", "program"], 127),
        (["/no/such"], 127),
    ],
)
def test_exit_statuses_of_signals_are_those_of_a_shell(fleet, agent, program, status):
    assert run(fleet.alice, agent.device_id(), "--", *program).returncode == status


def test_bytes_pass_as_they_are(fleet, agent):
    data = os.urandom(1024 * 1024)
    done = run(fleet.alice, agent.device_id(), "-T", "--", "cat", data=data)
    assert (done.returncode, done.stdout == data, done.stderr) == (0, True, b"")


def test_output_and_errors_stay_apart(fleet, agent):
    done = run(fleet.alice, agent.device_id(), "--", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_a_script_may_come_by_standard_input(fleet, agent):
    done = run(fleet.alice, agent.device_id(), data=b"echo hi\nexit 5\n")
    assert (done.returncode, done.stdout) == (5, b"hi\n")


@pytest.mark.parametrize(
    ("redirection", "shown", "status"),
    [
        ("<&-", b"end\n", 0),
        ("</dev/null", b"end\n", 0),
        ("</etc/hostname", pathlib.Path("/etc/hostname").read_bytes() + b"end\n", 0),
        (">&-", b"", 0),
        (">/dev/full", b"", 255),
    ],
)
def test_streams_may_be_anything(fleet, agent, redirection, shown, status):
    line = f"exec {' '.join(shell_words(agent.device_id()))} -- 'cat; echo end' {redirection}"
    done = subprocess.run(
        ["bash", "-c", line],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60,
        env=env_of(fleet.alice), cwd="/",
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (status, shown), done.stderr
    if status:
        assert b"No space left" in done.stderr


def test_who_wants_no_more_ends_the_program(fleet, agent):
    line = f"{' '.join(shell_words(agent.device_id()))} -- yes | head -1"
    done = subprocess.run(
        ["bash", "-c", line],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60,
        env=env_of(fleet.alice), cwd="/",
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (b"y\n", b"")
    wait_until(lambda: ended(fleet.alice, agent.device_id()), 5, "the session goes on")


def test_a_slow_reader_gets_everything(fleet, agent):
    words = shell_words(agent.device_id(), "--", "head -c 3000000 /dev/zero")
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env_of(fleet.alice), cwd="/"
    ) as process:
        size = 0
        while data := os.read(process.stdout.fileno(), 65536):
            size += len(data)
            time.sleep(0.02)
        assert (size, process.wait(20)) == (3_000_000, 0)


def test_the_environment_is_clean(fleet, agent):
    for words in (("--",), ("-t", "--")):
        shown = run(fleet.alice, agent.device_id(), *words, "/usr/bin/env", "-0").stdout.decode()
        names = {line.partition("=")[0] for line in shown.replace("\r", "").split("\0") if line}
        # What the account's shell adds by itself.
        assert names - {"PWD", "SHLVL", "_"} <= ALLOWED
        assert ("TERM" in names) is (words[0] == "-t")
    done = run(fleet.alice, agent.device_id(), data=b"echo $0; pwd; umask; id -un\n")
    assert done.stdout.split() == [b"-bash", b"/root", b"0022", b"root"]
