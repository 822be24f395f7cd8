"""penguinctl command: what was printed, how it ended, and calling it off."""

import json
import os
import stat
import time

from penguindome.envelope import Envelope
from tests.penguinctl import samples

OK = ("succeeded", {"exit_code": 0})


def only(book):
    (kept,) = book.kept.values()
    return kept


def test_output_is_read_later_byte_by_byte(commander, book):
    raw = os.urandom(5000)
    book.plays[samples.WEB] = (("stdout", raw), ("stderr", b"e\n"), OK)
    commander.bytes("run", "web-1", "twin", "--", "x")
    order_id = only(book).order.order_id
    assert commander.bytes("command", "output", order_id[:10], "web-1", "--stdout") == raw
    both = commander("command", "output", order_id, "web-1", "--stderr")
    assert (both.out, both.err) == ("", "e\n")
    lines = commander.bytes("command", "output", order_id, "--stderr")
    assert lines == b""
    result = commander("command", "output", order_id, "twin")
    assert (result.code, samples.TWIN_1 in result.err) == (6, True)
    assert commander("command", "output", order_id, "db-1").code == 3
    assert commander("command", "output", order_id, samples.TWIN_1).out == "hello\n"


def test_output_that_a_device_still_owes_is_told_and_ends_with_8(commander, book):
    commander("run", "web-1", "--", "x")
    kept = only(book)
    kept.outputs[samples.WEB, "stdout"] = b"he"
    words = ("command", "output", kept.order.order_id)
    told = "web-1 has yet to send 4 bytes of its standard output."
    for form in ((), ("--stdout",), ("-o", "json")):
        result = commander(*words, *form)
        assert (result.code, told in result.err, "he" in result.out) == (8, True, True)
    assert commander(*words, "--stderr").code == 0
    kept.outputs[samples.WEB, "stdout"] = b"hello\n"
    assert (done := commander(*words)).code == 0
    assert (done.out, done.err) == ("hello\n", "")


def test_commands_are_listed_and_shown_with_whose_word_it_is(commander, book):
    commander("run", "web-1", "db-1", "--name", "fix", "--", "x")
    order_id = only(book).order.order_id
    (row,) = json.loads(commander("command", "list", "-o", "json").out)["orders"]
    assert row["targets_by_state"] == {"queued": 1, "succeeded": 1}
    assert commander("command", "list", "--device", "nobody").code == 3
    shown = commander("command", "show", order_id[:12])
    assert shown.code == 0
    for words in ("Signed by:     alice", "/bin/sh -c x", "1 queued, 1 succeeded"):
        assert words in shown.out
    value = json.loads(commander("command", "show", order_id, "-o", "json").out)
    vouched = {one["hostname"]: one["vouched_by_device"] for one in value["targets"]}
    assert vouched == {"web-1": True, "db-1": False}


def test_a_cancelled_command_is_told_truly_of_each_device(commander, book):
    simulated = {samples.WEB: ("running",), samples.TWIN_1: ("running", "deaf")}
    book.plays.update(simulated)
    commander("run", "web-1", "twin", "db-1", "--detach", "--", "x")
    time.sleep(0.5)
    order_id = only(book).order.order_id
    begun = time.monotonic()
    done = commander("command", "cancel", order_id[:10], "--reason", "wrong", "-o", "json")
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


def test_only_some_devices_are_called_off_where_selectors_say_so(commander, book):
    book.plays |= {samples.WEB: ("running",), samples.TWIN_1: ("running",)}
    commander("run", "web-1", "twin", "--detach", "--", "x")
    order_id = only(book).order.order_id
    time.sleep(0.3)
    done = commander("command", "cancel", order_id, "web-*", "-o", "json")
    assert [one["state"] for one in _rows(done)] == ["cancelled"]
    assert book.kept[order_id].targets[samples.TWIN_1].state == "running"
    assert commander("command", "cancel", order_id, "db-1").code == 3
    again = commander("command", "cancel", order_id, "web-1")
    assert (again.code, "ended already" in again.err) == (6, True)


def test_a_server_that_answers_with_another_order_is_noticed(commander, book, simulator):
    commander("run", "web-1", "--", "x")
    first = only(book)
    other = "01M8ASVXWBMX5MTENDP9SRZMF2"
    book.kept[other] = first
    for words in (("command", "cancel", other), ("order", "show", other)):
        result = commander(*words)
        assert (result.code, "another one" in result.err) == (7, True)
    first.envelope = Envelope("wipe", first.envelope.payload, first.envelope.signatures)
    assert commander("order", "show", first.order.order_id).code == 7


def test_names_of_orders_are_remembered_for_completion(commander, book):
    commander("run", "web-1", "--", "x")
    commander("command", "list")
    (path,) = (commander.home / ".cache" / "penguinctl").glob("*.json")
    assert only(book).order.order_id in json.loads(path.read_text())["orders"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
