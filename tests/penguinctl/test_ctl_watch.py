"""--watch: redrawn, restored, and patient."""

import json
import signal
import subprocess
import time

import pytest

from penguindome.errors import Forbidden, Unavailable
from tests.penguinctl import samples
from tests.penguinctl.conftest import ENTRY

ENTER, LEAVE = "\x1b[?1049h", "\x1b[?1049l"
AWAY = Unavailable("the server is having a break")


@pytest.fixture
def filled(simulator, operator):
    samples.fill(simulator.state)
    return operator


def piped(operator, *words):
    return subprocess.Popen(
        [ENTRY, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=operator.environment(),
    )


def test_a_terminal_is_redrawn_and_restored(simulator, filled):
    with filled.session("device", "list", "--watch=1") as screen:
        screen.wait_for("web-1")
        assert screen.seen.index(ENTER) < screen.seen.index("web-1")
        assert "Every 1 s" in screen.seen
        simulator.state.devices[4].hostname = "renamed-1"
        screen.wait_for("renamed-1")
        screen.type("\x03")
        assert screen.ended() == 0
        assert screen.seen.rstrip().endswith(LEAVE)
        assert "\x1b[?25h" in screen.seen


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_screen_is_restored_when_a_signal_ends_it(filled, number):
    with filled.session("device", "list", "--watch") as screen:
        screen.wait_for("web-1")
        screen.process.send_signal(number)
        assert screen.ended() == -number
        assert screen.seen.rstrip().endswith(LEAVE)


def test_the_screen_is_restored_when_a_failure_ends_it(simulator, filled):
    with filled.session("device", "list", "--watch=1") as screen:
        screen.wait_for("web-1")
        simulator.failures["ListDevices"] = Forbidden("you are no operator any more")
        assert screen.ended() == 4
        assert LEAVE in screen.seen
        assert screen.seen.index(LEAVE) < screen.seen.index("you are no operator")


def test_ctrl_z_gives_the_screen_back_to_the_shell(filled):
    with filled.session("device", "list", "--watch=1") as screen:
        screen.wait_for("web-1")
        screen.forget()
        screen.process.send_signal(signal.SIGTSTP)
        screen.wait_for(LEAVE)
        screen.process.send_signal(signal.SIGCONT)
        screen.wait_for(ENTER)
        screen.wait_for("web-1")
        screen.type("\x03")
        assert screen.ended() == 0


def test_a_server_that_goes_away_is_waited_for(simulator, filled):
    with filled.session("device", "list", "--watch=1") as screen:
        screen.wait_for("web-1")
        simulator.failures["ListDevices"] = AWAY
        screen.forget()
        shown = screen.wait_for("trying again")
        assert "having a break" in shown
        assert "web-1" in screen.wait_for("web-1")
        simulator.failures = {}
        simulator.state.devices[4].hostname = "back-1"
        screen.wait_for("back-1")
        screen.type("\x03")
        assert screen.ended() == 0


def test_a_real_outage_is_survived(fresh, ctl):
    """The listener closes, and opens again at the same port."""
    assert ctl("init", stdin=fresh.invitation()).code == 0
    port = fresh.main_port
    process = piped(ctl, "server", "status", "-o", "ndjson", "--watch=1")
    try:
        assert json.loads(process.stdout.readline())["version"]
        fresh.stop()
        assert "trying again" in process.stderr.readline()
        fresh.start(main_port=port)
        assert "the server is back" in process.stderr.readline()
        assert json.loads(process.stdout.readline())["version"]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_rounds_are_printed_one_after_another_for_programs(filled):
    process = piped(filled, "device", "list", "-o", "ndjson", "--watch", "1")
    lines = [json.loads(process.stdout.readline()) for _ in range(10)]
    assert [line["hostname"] for line in lines[:5]] == [line["hostname"] for line in lines[5:]]
    process.terminate()
    process.communicate(timeout=20)
    assert process.returncode == -signal.SIGTERM


def test_a_watch_of_csv_has_one_header_and_of_yaml_many_documents(filled):
    for words, mark in ((["-o", "csv"], "device_id,"), (["-o", "yaml"], "---")):
        process = piped(filled, "device", "list", *words, "--watch=1")
        begun, lines = time.monotonic(), []
        while time.monotonic() - begun < 10 and sum("web-1" in line for line in lines) < 2:
            lines.append(process.stdout.readline())
        process.kill()
        process.communicate(timeout=20)
        count = sum(line.startswith(mark) for line in lines)
        assert count == (1 if mark != "---" else 2)


def test_nothing_that_matches_does_not_end_it(simulator, filled):
    with filled.session("device", "list", "label:new", "--watch=1") as screen:
        screen.wait_for("No matching devices.")
        simulator.state.devices[4].labels.append("new")
        screen.wait_for("web-1")
        screen.type("\x03")
        assert screen.ended() == 0


def test_long_answers_are_cut_where_the_terminal_ends(simulator, filled):
    simulator.state.devices = [samples.device(f"d-{n:016}", f"host-{n}") for n in range(100)]
    with filled.session("device", "list", "--watch", lines=12) as screen:
        screen.wait_for("more lines")
        screen.type("\x03")
        assert screen.ended() == 0
        assert screen.seen.count("host-") < 10


@pytest.mark.parametrize("pause", ["0", "0.5", "nan", "inf", "-1", "web-1"])
def test_a_pause_that_is_none_is_refused(filled, pause):
    result = filled("device", "list", f"--watch={pause}")
    assert (result.code, result.out) == (2, "")


def test_a_name_after_the_option_is_told_where_to_stand(filled):
    assert "--watch at the end" in filled("device", "list", "--watch", "web-1").err


def test_it_does_not_ask_more_often_than_told(simulator, filled):
    process = piped(filled, "device", "list", "--watch")
    time.sleep(3)
    process.terminate()
    process.communicate(timeout=20)
    assert len(simulator.requests("ListDevices")) == 1
