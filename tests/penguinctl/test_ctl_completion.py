"""Completion, in the real shells: quick, private, and without a word to the server."""

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinctl import names
from penguinctl.completion import SHELLS
from tests.penguinctl import samples
from tests.penguinctl.conftest import ENTRY
from tests.penguinctl.pty_session import Session

BIN = str(Path(sys.executable).parent)
HOSTILE = (
    "$(touch pwned)", "`touch pwned`", "; touch pwned", "a b", "x'y", 'x"y', "*", "~root", "-rf",
    "a\nb", "a,b", "x\\y", "web-é", "!!", "&& touch pwned", "label:x", "\x1b[31m", "--help", "",
)  # fmt: skip
BASH = """
source ./script
COMP_LINE="$1"; COMP_POINT=${#1}; COMP_TYPE=9; COMP_KEY=9
compopt() { :; }
_penguinctl_completion penguinctl "" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""
# zsh's completion works inside its line editor only, so it gets a terminal of its own.
ZSH = """
autoload -U compinit && compinit -u -D
source {script}
bindkey '^I' complete-word
zstyle ':completion:*' menu no
PS1='ready> '
"""


@pytest.fixture
def learned(simulator, operator):
    """An operator whose last commands brought names."""
    shutil.rmtree(operator.home / ".cache", ignore_errors=True)
    samples.fill(simulator.state)
    simulator.orders.fill()
    for words in (["device", "list"], ["issue", "list", "--closed"], ["check", "list"],
                  ["token", "list"], ["command", "list"]):  # fmt: skip
        assert operator(*words).code == 0
    return operator


def cache(operator):
    (path,) = (operator.home / ".cache" / "penguinctl").glob("*.json")
    return path


def shell_environment(operator):
    return operator.environment(PATH=f"{BIN}:{os.environ['PATH']}", TERM="dumb")


def offered(operator, line):
    """Return what bash would offer."""
    (operator.home / "script").write_text(operator("completion", "bash").out)
    done = subprocess.run(
        ["bash", "--norc", "-c", BASH, "bash", line],
        capture_output=True,
        text=True,
        timeout=30,
        env=shell_environment(operator),
        cwd=operator.home,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout.split("\n")[:-1]


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("penguinctl dev", ["device"]),
        ("penguinctl device li", ["list"]),
        ("penguinctl device list --colu", ["--columns"]),
        ("penguinctl device list -o nd", ["ndjson"]),
        ("penguinctl device show we", ["web-1"]),
        ("penguinctl device list d-aaa", [samples.WEB]),
        ("penguinctl device list label:", ["sales"]),
        ("penguinctl device list db-1 label:sa", ["sales"]),
        ("penguinctl device list failing:fire", ["firewall-disabled"]),
        ("penguinctl device list lab", ["label:"]),
        ("penguinctl run we", ["web-1"]),
        ("penguinctl run web-1 db", ["db-1"]),
        ("penguinctl run web-1 --det", ["--detach"]),
        ("penguinctl wipe we", ["web-1"]),
        ("penguinctl wipe st", ["status"]),
        ("penguinctl wipe web-1 --for", ["--for-real"]),
        ("penguinctl wipe status we", ["web-1"]),
        ("penguinctl command show 01M8", [samples.ORDER]),
        ("penguinctl order list --kind wipe-", ["wipe-plan"]),
        ("penguinctl issue show 01HZY3J5Q0G7X8K9M2N4P6R8ST", [samples.ISSUE]),
        ("penguinctl issue list --name disk", ["disk-noisy"]),
        ("penguinctl check show f", ["firewall-disabled"]),
        ("penguinctl token revoke 0", ["0123456789abcdef"]),
        ("penguinctl device label web-1 --add s", ["sales"]),
        ("penguinctl --profile d", ["default"]),
        ("penguinctl profile use d", ["default"]),
        ("penguinctl completion f", ["fish"]),
        ("penguinctl nonsense x", []),
    ],
)
def test_bash(learned, simulator, line, wanted):
    before = len(simulator.calls)
    assert [word for word in offered(learned, line) if word] == wanted
    assert len(simulator.calls) == before


def test_zsh(learned):
    (learned.home / "script").write_text(learned("completion", "zsh").out)
    (learned.home / ".zshrc").write_text(ZSH.format(script=learned.home / "script"))
    env = shell_environment(learned) | {"TERM": "xterm", "ZDOTDIR": str(learned.home)}
    for typed, wanted in (("device show we", "web-1"), ("device list label:sa", "label:sales")):
        with Session(["zsh", "-i"], env) as screen:
            screen.wait_for("ready> ")
            screen.forget()
            screen.type(f"penguinctl {typed}\t")
            screen.wait_for(wanted)


def test_fish(learned):
    (learned.home / "script").write_text(learned("completion", "fish").out)
    for line, wanted in (
        ("penguinctl device show we", "web-1"),
        ("penguinctl device list label:sa", "label:sales"),
        ("penguinctl token re", "revoke"),
    ):
        done = subprocess.run(
            ["fish", "--no-config", "-c", f"source script; complete -C '{line}'"],
            capture_output=True,
            text=True,
            timeout=30,
            env=shell_environment(learned),
            cwd=learned.home,
            check=True,
        )
        assert wanted in done.stdout.replace("\t", "\n").split("\n"), done


@pytest.mark.parametrize("shell", SHELLS)
def test_scripts_can_be_read_by_their_shells(learned, shell):
    script = learned("completion", shell)
    assert script.code == 0
    check = subprocess.run(
        [shell, "-n"], input=script.out, capture_output=True, text=True, timeout=30, check=False
    )
    assert (check.returncode, check.stderr) == (0, "")


def test_hostile_names_never_reach_a_shell(simulator, operator):
    shutil.rmtree(operator.home / ".cache", ignore_errors=True)
    simulator.state.devices = [
        samples.device(f"d-{place:016}", name, labels=[name], open_issues=[name])
        for place, name in enumerate(HOSTILE)
    ] + [samples.device(samples.WEB, "web-1")]
    assert operator("device", "list").code == 0
    # Also a file that somebody else filled.
    path = cache(operator)
    known = json.loads(path.read_text())
    assert known["hostnames"] == ["web-1"]
    path.write_text(json.dumps(known | {"hostnames": [*HOSTILE, "web-1"], "labels": [7, None]}))
    words = [word for word in offered(operator, "penguinctl device show ") if word]
    assert set(words) - {f"d-{place:016}" for place in range(len(HOSTILE))} == {
        "web-1", samples.WEB,
    }  # fmt: skip
    assert not (operator.home / "pwned").exists()


@given(st.text(max_size=20))
def test_what_is_kept_is_one_plain_word(name):
    if names.harmless(name):
        assert name.isascii()
        assert not set(name) & set(" \t\n'\"`$;&|<>(){}[]*?~!#\\,:=%/")
        assert not name.startswith("-")


def test_the_names_are_private_and_bounded(simulator, learned):
    path = cache(learned)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    simulator.state.devices = [samples.device(f"d-{n:016}", f"host-{n}") for n in range(6000)]
    assert learned("device", "list").code == 0
    assert len(json.loads(path.read_text())["hostnames"]) == names.MOST
    path.chmod(0o644)
    assert offered(learned, "penguinctl device show host-1") == [""]


def test_gone_names_are_forgotten_and_others_stay(simulator, learned):
    del simulator.state.devices[4]
    learned("device", "list", "twin")
    assert "web-1" in json.loads(cache(learned).read_text())["hostnames"]
    learned("device", "list")
    known = json.loads(cache(learned).read_text())
    assert "web-1" not in known["hostnames"]
    assert known["tokens"] == ["0123456789abcdef"]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"hostnames": 7}', "\0" * 100])
def test_a_damaged_file_offers_nothing_and_is_replaced(learned, content):
    cache(learned).write_text(content)
    assert offered(learned, "penguinctl device show we") == [""]
    assert learned("device", "list").code == 0
    assert offered(learned, "penguinctl device show we") == ["web-1"]


def test_a_cache_that_cannot_be_written_does_no_harm(simulator, learned):
    path = cache(learned)
    path.unlink()
    path.parent.rmdir()
    path.parent.write_text("in the way")
    result = learned("device", "list")
    path.parent.unlink()
    assert (result.code, result.err) == (0, "")


def test_it_takes_150_ms_with_a_large_fleet(simulator, learned):
    simulator.state.devices = [samples.device(f"d-{n:016}", f"host-{n}") for n in range(5000)]
    learned("device", "list")
    env = shell_environment(learned)
    env |= {"_PENGUINCTL_COMPLETE": "bash_complete", "COMP_LINE": "penguinctl device show host-4"}
    spans = []
    for _ in range(8):
        start = time.perf_counter()
        done = subprocess.run([ENTRY], env=env, capture_output=True, timeout=20, check=True)
        spans.append(time.perf_counter() - start)
    assert done.stdout.count(b"plain,host-4") == 500
    assert min(spans) <= 0.150, spans
