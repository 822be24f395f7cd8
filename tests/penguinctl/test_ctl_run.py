"""penguinctl run and command: signed, followed, printed as it comes, and called off."""

import json
import os
import signal
import stat
import subprocess
import threading
import time

import pytest

from penguindome.envelope import Envelope
from penguindome.errors import Forbidden
from tests.penguinctl import samples
from tests.penguinctl.conftest import ENTRY

OK = ("succeeded", {"exit_code": 0})


@pytest.fixture
def filled(simulator, operator):
    samples.fill(simulator.state)
    for device in simulator.state.devices:
        simulator.orders.device_key(device.device_id)
    return operator


@pytest.fixture
def book(simulator, filled):
    return simulator.orders


def only(book):
    (kept,) = book.kept.values()
    return kept


def body(book):
    return book.opened(only(book).envelope).body


def test_one_word_is_a_shell_line_and_several_are_a_program(filled, book):
    assert filled("run", "web-1", "--", "df | tail -1").code == 0
    assert body(book).argv == ("/bin/sh", "-c", "df | tail -1")
    book.kept.clear()
    assert filled("run", "web-1", "--", "echo", "a b", "--yes").code == 0
    assert body(book).argv == ("echo", "a b", "--yes")
    assert (body(book).name, body(book).user, body(book).timeout_seconds) == ("echo", "root", 600)


def test_what_is_sent_is_signed_by_the_operator_for_exactly_those_devices(filled, book):
    done = filled("run", "web-1", "twin", "--ttl", "2h", "--reason", "ticket 17", "--", "true")
    assert done.code == 0, done.err
    opened = book.opened(only(book).envelope)
    assert opened.missing == 0
    assert set(opened.payload.devices) == {samples.WEB, samples.TWIN_1, samples.TWIN_2}
    assert opened.body.hostnames[samples.WEB] == "web-1"
    assert (opened.payload.by, opened.payload.reason) == ("alice", "ticket 17")
    span = opened.payload.expires_time - opened.payload.issued_time
    assert span.total_seconds() == 7200


def test_a_script_goes_along_as_it_is(filled, book):
    script = filled.home / "fix me.sh"
    script.write_bytes(b"#!/bin/sh\necho \xff $1\n")
    options = ("--file", str(script), "--user", "ann", "--timeout", "5m", "--output-limit", "1")
    done = filled("run", "web-1", *options, "--", "one", "two")
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
        (["web-1", "--user", "../root", "--", "x"], 4),
        (["web-1", "--file", "/etc/passwd"], 2),
        (["nobody-*", "--", "x"], 3),
        (["new-1", "--", "x"], 3),
    ],
)
def test_what_no_device_would_do_is_not_sent(filled, simulator, words, code):
    result = filled("run", *words)
    assert (result.code, result.out) == (code, "")
    assert simulator.requests("SubmitOrder") == []


def test_streams_of_one_device_stay_apart_and_are_passed_on_as_bytes(filled, book):
    raw = bytes(range(256)) + b"no end of line"
    book.plays[samples.WEB] = ("running", ("stdout", raw), ("stderr", b"\x1b[31mbad\n"), OK)
    done = subprocess.run(
        [ENTRY, "run", "web-1", "--", "x"],
        capture_output=True,
        env=filled.environment(),
        timeout=60,
        check=True,
    )
    assert done.stdout == raw
    assert done.stderr.startswith(b"\x1b[31mbad\n")
    assert b"web-1: succeeded, exit code 0" in done.stderr


def test_a_terminal_shows_output_and_obeys_none_of_it(filled, book):
    book.plays[samples.WEB] = (
        ("stdout", b"a\tb\r\n\x1b[2Jboo\xff "),
        ("stdout", "\u202egnp ü\n".encode()[:5]),
        ("stdout", "\u202egnp ü\n".encode()[5:]),
        OK,
    )
    shown = filled.terminal("run", "web-1", "--yes", "--", "x", NO_COLOR="1").out
    assert "a       b\n\\x1b[2Jboo\\xff \\u202egnp ü\n" in shown.replace("\r", "")
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_lines_of_several_devices_carry_their_hostnames_and_stay_whole(filled, book):
    gate = threading.Event()
    book.plays[samples.WEB] = (("stdout", b"one "), ("until", gate), ("stdout", b"two\nthree"), OK)
    book.plays[samples.TWIN_1] = ("running", ("stdout", b"quick\n"), OK)
    book.plays[samples.TWIN_2] = (("stderr", b"oh\n"), ("failed", {"exit_code": 3}))
    process = subprocess.Popen(
        [ENTRY, "run", "web-1", "twin", "--", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=filled.environment(),
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


def test_output_is_seen_when_it_is_printed_and_not_at_the_end(filled, book):
    gate = threading.Event()
    book.plays[samples.WEB] = ("running", ("stdout", b"Password: "), ("until", gate), OK)
    with filled.session("run", "web-1", "--yes", "--", "x") as screen:
        screen.wait_for("Password: ")
        assert screen.process.poll() is None
        gate.set()
        assert screen.ended() == 0


def test_the_first_word_comes_within_150_ms_of_the_answer_to_the_question(filled, book):
    spans = []
    for _ in range(6):
        with filled.session("run", "web-1", "--", "x") as screen:
            screen.wait_for("[y/N]")
            begun = time.perf_counter()
            screen.type("y\n")
            screen.wait_for("hello")
            spans.append(time.perf_counter() - begun)
            screen.ended()
    assert min(spans) <= 0.150, spans


def test_offline_devices_are_named_and_not_waited_for(filled, book):
    done = filled("run", "web-1", "db-1", "--ttl", "3h", "--", "x")
    assert done.code == 8
    assert "1 device is offline (db-1); it gets it when it connects, until" in done.err
    assert done.out == "web-1: hello\n"
    assert only(book).targets[samples.DB].state == "queued"
    assert "penguinctl command show" in done.err


def test_wait_waits_for_offline_devices_too(filled, book):
    process = subprocess.Popen(
        [ENTRY, "run", "db-1", "--wait", "--", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=filled.environment(),
    )
    assert "1 device is offline" in process.stderr.readline()
    order_id = only(book).order.order_id
    only(book).targets[samples.DB].connected = True
    book.act(order_id, samples.DB)
    out, err = process.communicate(timeout=30)
    assert (out, process.returncode) == ("hello\n", 0)
    assert "db-1: succeeded" in err


def test_a_device_that_goes_away_meanwhile_is_not_waited_for(filled, book):
    book.plays[samples.WEB] = ("running", ("stdout", b"begun\n"), "away")
    done = filled("run", "web-1", "--", "x")
    assert (done.code, done.out) == (8, "begun\n")
    assert "web-1: running" in done.err


@pytest.mark.parametrize("state", ["failed", "timed-out", "refused", "interrupted", "expired"])
def test_any_other_end_than_success_ends_with_1_and_its_reason(filled, book, state):
    book.plays[samples.WEB] = ((state, {"reason": "because of that"}),)
    done = filled("run", "web-1", "--", "x")
    assert done.code == 1
    assert f"web-1: {state}" in done.err
    assert "because of that" in done.err


def test_output_that_follows_the_last_word_is_not_lost(filled, book):
    def late(order_id, device_id):
        kept = book.kept[order_id]
        kept.targets[device_id].stdout_bytes = 5
        book.say(order_id, device_id, "succeeded", exit_code=0)
        time.sleep(0.5)
        book.print(order_id, device_id, "stdout", b"late\n")

    book.act = late
    done = filled("run", "web-1", "--", "x")
    assert (done.code, done.out) == (0, "late\n")


def test_a_connection_that_breaks_is_made_again_and_nothing_is_told_twice(filled, book):
    gate = threading.Event()
    book.plays[samples.WEB] = (("stdout", b"one\n"), ("until", gate), ("stdout", b"two\n"), OK)
    process = subprocess.Popen(
        [ENTRY, "run", "web-1", "--", "x"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=filled.environment(),
    )
    assert process.stdout.readline() == "one\n"
    book.breaks += 1
    book.tell()
    gate.set()
    out, err = process.communicate(timeout=30)
    assert (out, process.returncode) == ("two\n", 0), err


def test_an_answer_that_is_lost_orders_nothing_twice(filled, book, simulator):
    simulator.lose_answer_of = {"SubmitOrder"}
    done = filled("run", "web-1", "--", "x")
    assert (done.code, done.out, len(book.kept)) == (0, "hello\n", 1)
    first, second = simulator.requests("SubmitOrder")
    assert first == second


def test_ctrl_c_ends_the_watching_and_not_the_command(filled, book):
    book.plays[samples.WEB] = ("running", ("stdout", b"begun\n"))
    with filled.session("run", "web-1", "--yes", "--", "x") as screen:
        screen.wait_for("begun")
        screen.type("\x03")
        assert screen.ended() == 130
        order_id = only(book).order.order_id
        assert f"penguinctl command cancel {order_id}" in screen.seen
        assert "Traceback" not in screen.seen
    assert only(book).targets[samples.WEB].state == "running"


def test_a_question_is_asked_at_a_terminal_and_no_is_no(filled, simulator):
    result = filled.terminal("run", "twin", "--", "reboot now", typed=b"n\n", NO_COLOR="1")
    assert result.code == 6
    assert simulator.requests("SubmitOrder") == []
    for words in ("/bin/sh -c 'reboot now'", f"twin ({samples.TWIN_1})", "2 devices? [y/N]"):
        assert words in result.out


def test_a_question_that_nobody_could_see_is_not_asked(filled, simulator):
    with filled.session("run", "web-1", "--", "x") as screen:
        screen.wait_for("[y/N]")
        screen.process.send_signal(signal.SIGINT)
        assert screen.ended() == 130
    command = f"{ENTRY} run web-1 -- x 2>{filled.home}/err"
    with type(screen)(["sh", "-c", command], filled.environment()) as hidden:
        assert hidden.ended() == 6
    assert "could not see" in (filled.home / "err").read_text()
    assert simulator.requests("SubmitOrder") == []


def test_devices_that_forbid_commands_are_told_and_left_out(filled, book, simulator):
    simulator.state.devices[1].denied[:] = ["commands", "wipe"]
    done = filled("run", "twin", "web-1", "--", "x")
    assert done.code == 1
    assert "twin: its own settings forbid commands\n" in done.err
    assert set(only(book).targets) == {samples.TWIN_2, samples.WEB}
    simulator.state.devices[2].denied[:] = ["commands"]
    done = filled("run", "twin", "--", "x")
    assert (done.code, len(book.kept)) == (6, 1)
    assert "Nothing was sent" in done.err


def test_an_operator_without_the_role_is_told_before_anything_is_asked(filled, simulator):
    from penguinctl import ordering  # noqa: PLC0415 -- the check alone
    from penguindome.orders.kinds import KINDS  # noqa: PLC0415 -- as above

    with pytest.raises(Forbidden, match="has not the role command") as caught:
        ordering.check_role(simulator.orders.trust(), KINDS["command"], "F" * 40)
    assert "alice" in caught.value.remedy


def test_detach_says_the_order_and_waits_for_nothing(filled, book):
    book.plays[samples.WEB] = ("running",)
    done = filled("run", "web-1", "--detach", "--", "x")
    assert done.code == 0
    assert f"penguinctl command show {only(book).order.order_id}" in done.out


def test_programs_get_results_or_events(filled, book):
    book.plays[samples.WEB] = ("running", ("stdout", b"\xffa"), ("stderr", b"b"), OK)
    value = json.loads(filled("run", "web-1", "-o", "json", "--", "x").out)
    (target,) = value["targets"]
    assert (target["stdout"], target["stderr"], target["exit_code"]) == ("\\xffa", "b", 0)
    assert value["order"]["kind"] == "command"
    lines = filled("run", "web-1", "-o", "ndjson", "--", "x").out.splitlines()
    events = [json.loads(line) for line in lines]
    assert {one["event"] for one in events} == {"order", "target", "output"}
    assert [one["state"] for one in events if one["event"] == "target"][-1] == "succeeded"
    rows = filled("run", "web-1", "-o", "csv", "--", "x").out.splitlines()
    assert rows[0].startswith("device_id,hostname,")
    assert rows[1].startswith(f"{samples.WEB},web-1,")


def test_output_is_read_later_byte_by_byte(filled, book):
    raw = os.urandom(5000)
    book.plays[samples.WEB] = (("stdout", raw), ("stderr", b"e\n"), OK)
    filled.bytes("run", "web-1", "twin", "--", "x")
    order_id = only(book).order.order_id
    assert filled.bytes("command", "output", order_id[:10], "web-1", "--stdout") == raw
    both = filled("command", "output", order_id, "web-1", "--stderr")
    assert (both.out, both.err) == ("", "e\n")
    lines = filled.bytes("command", "output", order_id, "--stderr")
    assert lines == b""
    result = filled("command", "output", order_id, "twin")
    assert (result.code, samples.TWIN_1 in result.err) == (6, True)
    assert filled("command", "output", order_id, "db-1").code == 3
    assert filled("command", "output", order_id, samples.TWIN_1).out == "hello\n"


def test_commands_are_listed_and_shown_with_whose_word_it_is(filled, book):
    filled("run", "web-1", "db-1", "--name", "fix", "--", "x")
    order_id = only(book).order.order_id
    (row,) = json.loads(filled("command", "list", "-o", "json").out)["orders"]
    assert row["targets_by_state"] == {"queued": 1, "succeeded": 1}
    assert filled("command", "list", "--device", "nobody").code == 3
    shown = filled("command", "show", order_id[:12])
    assert shown.code == 0
    for words in ("Signed by:     alice", "/bin/sh -c x", "1 queued, 1 succeeded"):
        assert words in shown.out
    value = json.loads(filled("command", "show", order_id, "-o", "json").out)
    vouched = {one["hostname"]: one["vouched_by_device"] for one in value["targets"]}
    assert vouched == {"web-1": True, "db-1": False}


def test_a_cancelled_command_is_told_truly_of_each_device(filled, book):
    simulated = {samples.WEB: ("running",), samples.TWIN_1: ("running", "deaf")}
    book.plays.update(simulated)
    filled("run", "web-1", "twin", "db-1", "--detach", "--", "x")
    time.sleep(0.5)
    order_id = only(book).order.order_id
    begun = time.monotonic()
    done = filled("command", "cancel", order_id[:10], "--reason", "wrong", "-o", "json")
    assert done.code == 0, done.err
    assert time.monotonic() - begun < 20
    results = {one["device_id"]: (one["state"], one["result"]) for one in _rows(done)}
    assert results[samples.WEB] == ("cancelled", "called off")
    assert results[samples.DB][0] == "cancelled"
    assert results[samples.TWIN_1][0] == "running"
    assert "has not said yet" in results[samples.TWIN_1][1]
    assert results[samples.TWIN_2][0] == "succeeded"
    cancellation = list(book.kept.values())[-1]
    opened = book.opened(cancellation.envelope)
    assert (opened.kind.name, opened.body.order_ids) == ("cancel-command", (order_id,))
    # Who had ended is not asked.
    assert samples.TWIN_2 not in opened.payload.devices


def _rows(done):
    return json.loads(done.out)["targets"]


def test_only_some_devices_are_called_off_where_selectors_say_so(filled, book):
    book.plays |= {samples.WEB: ("running",), samples.TWIN_1: ("running",)}
    filled("run", "web-1", "twin", "--detach", "--", "x")
    order_id = only(book).order.order_id
    time.sleep(0.3)
    done = filled("command", "cancel", order_id, "web-*", "-o", "json")
    assert [one["state"] for one in _rows(done)] == ["cancelled"]
    assert book.kept[order_id].targets[samples.TWIN_1].state == "running"
    assert filled("command", "cancel", order_id, "db-1").code == 3
    again = filled("command", "cancel", order_id, "web-1")
    assert (again.code, "ended already" in again.err) == (6, True)


def test_a_server_that_answers_with_another_order_is_noticed(filled, book, simulator):
    filled("run", "web-1", "--", "x")
    first = only(book)
    other = "01M8ASVXWBMX5MTENDP9SRZMF2"
    book.kept[other] = first
    for words in (("command", "cancel", other), ("order", "show", other)):
        result = filled(*words)
        assert (result.code, "another one" in result.err) == (7, True)
    first.envelope = Envelope("wipe", first.envelope.payload, first.envelope.signatures)
    assert filled("order", "show", first.order.order_id).code == 7


def test_names_of_orders_are_remembered_for_completion(filled, book):
    filled("run", "web-1", "--", "x")
    filled("command", "list")
    (path,) = (filled.home / ".cache" / "penguinctl").glob("*.json")
    assert only(book).order.order_id in json.loads(path.read_text())["orders"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
