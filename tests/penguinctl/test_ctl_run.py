"""penguinctl run: signed, followed, printed as it comes."""

import json
import subprocess
import threading
import time

import pytest

from tests.penguinctl import samples
from tests.penguinctl.conftest import ENTRY

OK = ("succeeded", {"exit_code": 0})


def only(book):
    (kept,) = book.kept.values()
    return kept


def body(book):
    return book.opened(only(book).envelope).body


def test_one_word_is_a_shell_line_and_several_are_a_program(commander, book):
    assert commander("run", "web-1", "--", "df | tail -1").code == 0
    assert body(book).argv == ("/bin/sh", "-c", "df | tail -1")
    book.kept.clear()
    assert commander("run", "web-1", "--", "echo", "a b", "--yes").code == 0
    assert body(book).argv == ("echo", "a b", "--yes")
    assert (body(book).name, body(book).user, body(book).timeout_seconds) == ("echo", "root", 600)


def test_what_is_sent_is_signed_by_the_operator_for_exactly_those_devices(commander, book):
    done = commander("run", "web-1", "twin", "--ttl", "2h", "--reason", "ticket 17", "--", "true")
    assert done.code == 0, done.err
    opened = book.opened(only(book).envelope)
    assert opened.missing == 0
    assert set(opened.payload.devices) == {samples.WEB, samples.TWIN_1, samples.TWIN_2}
    assert opened.body.hostnames[samples.WEB] == "web-1"
    assert (opened.payload.by, opened.payload.reason) == ("alice", "ticket 17")
    span = opened.payload.expires_time - opened.payload.issued_time
    assert span.total_seconds() == 7200


def test_a_script_goes_along_as_it_is(commander, book):
    script = commander.home / "fix me.sh"
    script.write_bytes(b"#!/bin/sh\necho \xff $1\n")
    options = ("--file", str(script), "--user", "ann", "--timeout", "5m", "--output-limit", "1")
    done = commander("run", "web-1", *options, "--", "one", "two")
    assert done.code == 0, done.err
    found = body(book)
    assert (found.script, found.argv) == (script.read_bytes(), ("one", "two"))
    assert (found.name, found.user, found.timeout_seconds) == ("fix-me", "ann", 300)
    assert found.output_limit_bytes == 1024 * 1024


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["web-1"], 2),
        (["--", "uptime"], 2),
        (["web-1", "--timeout", "2d", "--", "x"], 2),
        (["web-1", "--timeout", "soon", "--", "x"], 2),
        (["web-1", "--ttl", "31d", "--", "x"], 2),
        (["web-1", "--name", "a b", "--", "x"], 4),
        (["web-1", "--user", "../root", "--", "x"], 2),
        (["web-1", "--file", "/etc/passwd"], 2),
        (["nobody-*", "--", "x"], 3),
        (["new-1", "--", "x"], 3),
    ],
)
def test_what_no_device_would_do_is_not_sent(commander, simulator, words, code):
    result = commander("run", *words)
    assert (result.code, result.out) == (code, "")
    assert simulator.requests("SubmitOrder") == []


def test_streams_of_one_device_stay_apart_and_are_passed_on_as_bytes(commander, book):
    raw = bytes(range(256)) + b"no end of line"
    book.plays[samples.WEB] = ("running", ("stdout", raw), ("stderr", b"\x1b[31mbad\n"), OK)
    done = subprocess.run(
        [ENTRY, "run", "web-1", "--", "x"],
        capture_output=True,
        env=commander.environment(),
        timeout=60,
        check=True,
    )
    assert done.stdout == raw
    assert done.stderr.startswith(b"\x1b[31mbad\n")
    assert b"web-1: succeeded, exit code 0" in done.stderr


def test_a_terminal_shows_output_and_obeys_none_of_it(commander, book):
    book.plays[samples.WEB] = (
        ("stdout", b"a\tb\r\n\x1b[2Jboo\xff "),
        ("stdout", "\u202egnp ü\n".encode()[:5]),
        ("stdout", "\u202egnp ü\n".encode()[5:]),
        OK,
    )
    shown = commander.terminal("run", "web-1", "--yes", "--", "x", NO_COLOR="1").out
    assert "a       b\n\\x1b[2Jboo\\xff \\u202egnp ü\n" in shown.replace("\r", "")
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_lines_of_several_devices_carry_their_hostnames_and_stay_whole(commander, book):
    gate = threading.Event()
    book.plays[samples.WEB] = (("stdout", b"one "), ("until", gate), ("stdout", b"two\nthree"), OK)
    book.plays[samples.TWIN_1] = ("running", ("stdout", b"quick\n"), OK)
    book.plays[samples.TWIN_2] = (("stderr", b"oh\n"), ("failed", {"exit_code": 3}))
    process = subprocess.Popen(
        [ENTRY, "run", "web-1", "twin", "--", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=commander.environment(),
    )
    assert process.stdout.readline() == f"twin {samples.TWIN_1}: quick\n"
    gate.set()
    out, err = process.communicate(timeout=30)
    assert out == "web-1: one two\nweb-1: three\n"
    assert f"twin {samples.TWIN_2}: oh\n" in err
    assert process.returncode == 1
    rows = [line.split() for line in err.splitlines() if line.startswith(("twin  ", "web-1  "))]
    assert sorted(row[1:3] for row in rows) == [
        ["failed", "3"],
        ["succeeded", "0"],
        ["succeeded", "0"],
    ]


def test_output_is_seen_when_it_is_printed_and_not_at_the_end(commander, book):
    gate = threading.Event()
    book.plays[samples.WEB] = ("running", ("stdout", b"Password: "), ("until", gate), OK)
    with commander.session("run", "web-1", "--yes", "--", "x") as screen:
        screen.wait_for("Password: ")
        assert screen.process.poll() is None
        gate.set()
        assert screen.ended() == 0


def test_the_first_word_comes_within_150_ms_of_the_answer_to_the_question(commander, book):
    spans = []
    for _ in range(6):
        with commander.session("run", "web-1", "--", "x") as screen:
            screen.wait_for("[y/N]")
            begun = time.perf_counter()
            screen.type("y\n")
            screen.wait_for("hello")
            spans.append(time.perf_counter() - begun)
            screen.ended()
    assert min(spans) <= 0.150, spans


def test_offline_devices_are_named_and_not_waited_for(commander, book):
    done = commander("run", "web-1", "db-1", "--ttl", "3h", "--", "x")
    assert done.code == 8
    assert "1 device is offline (db-1); it gets it when it connects, until" in done.err
    assert done.out == "web-1: hello\n"
    assert only(book).targets[samples.DB].state == "queued"
    assert "penguinctl command show" in done.err


def test_wait_waits_for_offline_devices_too(commander, book):
    process = subprocess.Popen(
        [ENTRY, "run", "db-1", "--wait", "--", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=commander.environment(),
    )
    assert "1 device is offline" in process.stderr.readline()
    order_id = only(book).order.order_id
    only(book).targets[samples.DB].connected = True
    book.act(order_id, samples.DB)
    out, err = process.communicate(timeout=30)
    assert (out, process.returncode) == ("hello\n", 0)
    assert "db-1: succeeded" in err


def test_a_device_that_goes_away_meanwhile_is_not_waited_for(commander, book):
    book.plays[samples.WEB] = ("running", ("stdout", b"begun\n"), "away")
    done = commander("run", "web-1", "--", "x")
    assert (done.code, done.out) == (8, "begun\n")
    assert "web-1: running" in done.err


@pytest.mark.parametrize("state", ["failed", "timed-out", "refused", "interrupted", "expired"])
def test_any_other_end_than_success_ends_with_1_and_its_reason(commander, book, state):
    book.plays[samples.WEB] = ((state, {"reason": "because of that"}),)
    done = commander("run", "web-1", "--", "x")
    assert done.code == 1
    assert f"web-1: {state}" in done.err
    assert "because of that" in done.err


def test_output_that_follows_the_last_word_is_not_lost(commander, book):
    def late(order_id, device_id):
        kept = book.kept[order_id]
        kept.targets[device_id].stdout_bytes = 5
        book.say(order_id, device_id, "succeeded", exit_code=0)
        time.sleep(0.5)
        book.print(order_id, device_id, "stdout", b"late\n")

    book.act = late
    done = commander("run", "web-1", "--", "x")
    assert (done.code, done.out) == (0, "late\n")


def test_a_connection_that_breaks_is_made_again_and_nothing_is_told_twice(commander, book):
    gate = threading.Event()
    book.plays[samples.WEB] = (("stdout", b"one\n"), ("until", gate), ("stdout", b"two\n"), OK)
    process = subprocess.Popen(
        [ENTRY, "run", "web-1", "--", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=commander.environment(),
    )
    assert process.stdout.readline() == "one\n"
    book.breaks += 1
    book.tell()
    gate.set()
    out, err = process.communicate(timeout=30)
    assert (out, process.returncode) == ("two\n", 0), err


def test_an_answer_that_is_lost_orders_nothing_twice(commander, book, simulator):
    simulator.lose_answer_of = {"SubmitOrder"}
    done = commander("run", "web-1", "--", "x")
    assert (done.code, done.out, len(book.kept)) == (0, "hello\n", 1)
    first, second = simulator.requests("SubmitOrder")
    assert first == second


def test_ctrl_c_ends_the_watching_and_not_the_command(commander, book):
    book.plays[samples.WEB] = ("running", ("stdout", b"begun\n"))
    with commander.session("run", "web-1", "--yes", "--", "x") as screen:
        screen.wait_for("begun")
        screen.type("\x03")
        assert screen.ended() == 130
        order_id = only(book).order.order_id
        assert f"penguinctl command cancel {order_id}" in screen.seen
        assert "Traceback" not in screen.seen
    assert only(book).targets[samples.WEB].state == "running"


def test_detach_says_the_order_and_waits_for_nothing(commander, book):
    book.plays[samples.WEB] = ("running",)
    done = commander("run", "web-1", "--detach", "--", "x")
    assert done.code == 0
    assert f"penguinctl command show {only(book).order.order_id}" in done.out


def test_programs_get_results_or_events(commander, book):
    book.plays[samples.WEB] = ("running", ("stdout", b"\xffa"), ("stderr", b"b"), OK)
    value = json.loads(commander("run", "web-1", "-o", "json", "--", "x").out)
    (target,) = value["targets"]
    assert (target["stdout"], target["stderr"], target["exit_code"]) == ("\\xffa", "b", 0)
    assert value["order"]["kind"] == "command"
    lines = commander("run", "web-1", "-o", "ndjson", "--", "x").out.splitlines()
    events = [json.loads(line) for line in lines]
    assert {one["event"] for one in events} == {"order", "target", "output"}
    assert [one["state"] for one in events if one["event"] == "target"][-1] == "succeeded"
    rows = commander("run", "web-1", "-o", "csv", "--", "x").out.splitlines()
    assert rows[0].startswith("device_id,hostname,")
    assert rows[1].startswith(f"{samples.WEB},web-1,")
