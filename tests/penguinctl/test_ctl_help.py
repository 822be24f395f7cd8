"""--help is true, has examples, and is quick."""

import json
import os
import subprocess
import sys
import time

import click
import pytest

from penguinctl import exits
from penguinctl.cli import cli
from penguindome import errors
from tests.penguinctl.conftest import ENTRY

HEAVY = {"grpc", "google.protobuf", "cryptography", "asyncio", "gnupg"}
LOADED = """
import json, sys
from penguinctl.cli import run
code = run(sys.argv[1:])
print(json.dumps([code, sorted(sys.modules)]), file=sys.stderr)
"""


def commands():
    root = click.Context(cli)
    for noun in cli.list_commands(root):
        command = cli.get_command(root, noun)
        yield (noun,)
        if isinstance(command, click.Group):
            for verb in command.commands:
                yield noun, verb


@pytest.mark.parametrize("words", [(), *commands()], ids=" ".join)
def test_help_exists_has_an_example_and_imports_nothing_heavy(words):
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *words, "--help"],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    code, modules = json.loads(done.stderr)
    assert code == 0
    assert HEAVY.isdisjoint(modules)
    if len(words) != 1 or words[0] in ("init", "trail"):
        assert "Example" in done.stdout
    if len(words) == 2 and tuple(words) not in WITHOUT_ANSWER:
        assert "-o, --output" in done.stdout


# What they show is what a terminal showed.
WITHOUT_ANSWER = {("session", "watch"), ("session", "play"), ("session", "export")}


def test_help_takes_150_ms():
    spans = []
    for _ in range(6):
        start = time.perf_counter()
        subprocess.run([ENTRY, "--help"], capture_output=True, check=True, timeout=20)
        spans.append(time.perf_counter() - start)
    assert min(spans) <= 0.150, spans


def test_examples_can_be_parsed():
    """Each example names a noun, a verb and options that exist."""
    for words in commands():
        command = cli
        for word in words:
            command = command.get_command(click.Context(command), word)
        known = {name for option in command.params for name in option.opts}
        for line in (command.epilog or "").splitlines():
            if line.startswith("  penguinctl "):
                ours = line.partition(" -- ")[0]
                used = {word for word in ours.split() if word.startswith("--")}
                assert used <= known, line


@pytest.mark.parametrize("arguments", [["device", "frobnicate"], ["--frobnicate"], ["nonsense"]])
def test_wrong_usage_ends_with_2(ctl, arguments):
    result = ctl(*arguments)
    assert (result.code, "Usage:" in result.err, result.out) == (2, True, "")


def test_no_arguments_show_help(ctl):
    result = ctl()
    assert (result.code, "Exit codes" in result.err) == (2, True)


def test_version(ctl):
    assert "penguinctl" in ctl("--version").out


def test_closed_pipe_is_no_traceback(operator, simulator):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [ENTRY, "device", "list"],
        stdout=writer,
        stderr=subprocess.PIPE,
        timeout=30,
        env=operator.environment(),
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.InvalidInput("x"), 2),
        (errors.NotFound("x"), 3),
        (errors.Unauthenticated("x"), 4),
        (errors.Forbidden("x"), 4),
        (errors.Unavailable("x"), 5),
        (errors.PreconditionFailed("x"), 6),
        (errors.AlreadyExists("x"), 6),
        (errors.Damaged("x"), 7),
        (exits.NotVerified("x"), 7),
        (errors.LimitExceeded("x"), 1),
        (errors.InternalError("x"), 1),
        (errors.NotSupported("x"), 1),
    ],
)
def test_exit_codes(error, code):
    assert exits.exit_code(error) == code
