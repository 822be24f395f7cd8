"""How programs are handed to PID 1: the words are those of the real systemd-run."""

import asyncio
import os
import pwd
import subprocess

import pytest

from penguin_agent.orders.launch import (
    STOP_SECONDS,
    Launch,
    account_of,
    base_environment,
    has_systemd,
    own_name,
    starts_units,
    unit_words,
)
from penguin_agent.orders.launched import run_launched
from penguindome.errors import NotFound
from penguindome.ids import new_ulid
from penguindome.times import utc_now

MARKS = {"PD_ORDER_ID": new_ulid(utc_now()), "PD_STATE_DIR": "/nowhere"}


def launch(*argv, script=None, user="root", environment=MARKS):
    account = account_of(user)
    environment = {**base_environment(account), **environment}
    return Launch("penguin-order-X", "an order", argv, environment, account, 60, script)


def options(words):
    """Return the options of a systemd-run command line, without values."""
    head = words[1 : words.index("--")]
    return {word.partition("=")[0] for word in head}


def command(words):
    """Return what the unit runs, as PID 1 has it after it replaced variables."""
    return [word.replace("$$", "$") for word in words[words.index("--") + 1 :]]


def test_systemd_run_knows_every_option():
    done = subprocess.run(
        ["systemd-run", "--help"], capture_output=True, text=True, check=True, timeout=30
    )
    used = options(unit_words(launch("true"))) | options(unit_words(launch("true", user="nobody")))
    known = done.stdout
    assert {word for word in used if f"{word} " not in known and f"{word}=" not in known} == set()


def test_systemd_knows_every_property(tmp_path):
    words = unit_words(launch("true", user="nobody"))
    lines = [word.removeprefix("--property=") for word in words if word.startswith("--property=")]
    unit = tmp_path / "x.service"
    unit.write_text("[Service]\nType=exec\nExecStart=/bin/true\n" + "\n".join(lines) + "\n")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert f"TimeoutStopSec={STOP_SECONDS}" in lines


def test_systemd_is_told_from_its_absence(tmp_path):
    assert has_systemd(tmp_path)
    assert not has_systemd(tmp_path / "missing")


@pytest.mark.root
def test_only_root_hands_programs_to_systemd():
    assert starts_units() == has_systemd()
    os.seteuid(pwd.getpwnam("nobody").pw_uid)
    try:
        assert not starts_units()
    finally:
        os.seteuid(0)


def test_a_user_who_is_not_there_is_told():
    with pytest.raises(NotFound):
        account_of("no-such-user")


def test_root_is_not_named_and_others_are():
    assert "--uid" not in options(unit_words(launch("true")))
    assert "--uid=nobody" in unit_words(launch("true", user="nobody"))


def run(words, **more):
    return subprocess.run(
        words, capture_output=True, check=True, timeout=30, cwd="/", env={"X": "leaks"}, **more
    ).stdout


@pytest.mark.parametrize(
    "argument", ["$HOME", "${HOME}", "$$", "%i %h", "a b", "", "'\"\\", "--", "-u", "a=b"]
)
def test_arguments_arrive_as_they_were_signed(argument):
    words = unit_words(launch("/usr/bin/printf", "%s", argument))
    assert run(command(words)) == argument.encode()
    # Nothing is left that PID 1 would replace: each dollar sign is doubled.
    assert "$" not in "".join(words[words.index("--") + 1 :]).replace("$$", "")


def test_the_environment_under_systemd_is_made_from_nothing():
    lines = set(run(command(unit_words(launch("/usr/bin/env")))).decode().splitlines())
    expected = {**base_environment(account_of("root")), **MARKS}
    assert lines == {f"{name}={value}" for name, value in expected.items()}


def test_a_program_with_an_equals_sign_in_its_name_is_run(tmp_path):
    program = tmp_path / "a=b"
    program.write_text("#!/bin/sh\necho ran $1\n")
    program.chmod(0o755)
    assert run(command(unit_words(launch(str(program), "x")))) == b"ran x\n"


def test_a_script_under_systemd_comes_as_standard_input_which_it_does_not_see():
    script = b"#!/bin/sh\necho \"$0\" \"$@\"; cat; env | cut -d= -f1 | sort | tr '\\n' ' '\n"
    descriptor = os.memfd_create("script")
    os.write(descriptor, script)
    words = unit_words(launch("one", "two words", script=descriptor))
    first, names = run(command(words), stdin=descriptor).decode().splitlines()
    os.close(descriptor)
    assert first == "/proc/self/fd/3 one two words"
    assert set(names.split()) - {"PWD", "OLDPWD", "_"} == {
        *base_environment(account_of("root")),
        *MARKS,
    }


def test_what_cannot_be_started_is_told():
    chosen = launch("/no/such", user=own_name())
    end = asyncio.run(run_launched(chosen, lambda *_: True, systemd=False))
    assert (end.code, end.error) == (None, "No such file or directory")


def test_a_sink_that_fails_does_not_end_the_program():
    def sink(_stream, _data):
        raise OSError("full")

    chosen = launch("/bin/sh", "-c", "yes | head -c 300000; exit 7", user=own_name())
    end = asyncio.run(run_launched(chosen, sink, systemd=False))
    assert (end.code, end.truncated) == (7, True)


def test_what_is_thrown_away_is_read_slowly():
    # Else a program that prints for ever would take a whole processor of the agent's.
    pieces: list[int] = []

    def sink(_stream, data):
        pieces.append(len(data))
        return False

    chosen = launch("/bin/sh", "-c", "timeout 1 yes", user=own_name())
    asyncio.run(run_launched(chosen, sink, systemd=False))
    # One each 20 ms; some more, as long as it is ended.
    assert 1 < len(pieces) < 200
