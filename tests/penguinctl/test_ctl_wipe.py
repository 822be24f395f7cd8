"""penguinctl wipe: a dry run unless told otherwise, confirmed by typing, told truly."""

import json
import threading

import pytest

from tests.penguinctl import samples
from tests.penguinctl.test_ctl_order import Pair

NAMED = f"{samples.WEB} web-1"
PLAN = {
    "level": "crypto-erase",
    "accounts": [{"name": "ann", "uid": 1000}, {"name": "bo", "uid": 1001, "elsewhere": True}],
    "homes": [{"path": "/home/ann", "user": "ann", "files": 7, "folders": 2, "bytes": 3 * 2**30}],
    "homes_in_all": 140,
    "processes": {"ann": 12},
    "volumes": [{"device": "/dev/sda3", "uuid": "u-1", "luks": 2, "key_slots": 1}],
    "skipped": [{"what": "account root", "why": "its uid is not a person's"}],
}
DONE = {
    "plan": PLAN,
    "done": {
        "steps": {"lock-account": 2},
        "erased_homes": [{"path": "/home/ann", "files": 7, "folders": 2, "bytes": 5}],
        "failures": [{"step": "erase-home", "what": "/home/bo", "why": "is busy"}],
    },
}
PLANNED = (("succeeded", {"details": {"plan": PLAN}}),)


def last(book):
    return list(book.kept.values())[-1]


def test_without_for_real_it_is_a_dry_run_that_says_what_would_go_and_what_stays(commander, book):
    book.plays[samples.WEB] = PLANNED
    done = commander("wipe", "web-1", "--level", "crypto-erase")
    assert done.code == 0, done.err
    opened = book.opened(last(book).envelope)
    assert (opened.kind.name, opened.body.level, opened.body.confirmation) == (
        "wipe-plan",
        "crypto-erase",
        "",
    )
    words = ("ann   1000  12", "3.0 GiB", "140 in all", "/dev/sda3", "account root", "passwd file")
    for word in (*words, "nothing was done", "by the device's own signed receipt"):
        assert word in done.out, word
    value = json.loads(commander("wipe", "web-1", "-o", "json").out)
    assert (value["kind"], value["vouched_by_device"]) == ("wipe-plan", True)
    assert value["details"]["plan"] == PLAN


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (b"web-1\nweb-1\n", "is not the device's id and hostname"),
        (f"{samples.WEB}\n{samples.WEB}\n".encode(), "is not the device's id"),
        (f"{samples.DB}\nweb-1\n".encode(), "is not the device's id"),
        (b"y\ny\n", "is not the device's id"),
    ],
)
def test_what_is_typed_has_to_be_both_the_id_and_the_hostname(commander, simulator, typed, words):
    result = commander.terminal("wipe", "web-1", "--for-real", typed=typed, NO_COLOR="1")
    assert (result.code, words in result.out) == (6, True), result.out
    assert simulator.requests("SubmitOrder") == []


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--for-real"], 6),
        (["--for-real", "--confirm", "web-1"], 6),
        (["--for-real", "--confirm", f"{samples.DB} db-1"], 6),
        (["--for-real", "--yes"], 2),
        (["--for-real", "--yes", "--confirm", NAMED], 2),
        (["--confirm", NAMED], 2),
        (["--level", "everything"], 2),
    ],
)
def test_nothing_is_sent_that_was_not_confirmed(commander, simulator, options, code):
    result = commander("wipe", "web-1", *options)
    assert (result.code, result.out) == (code, "")
    assert simulator.requests("SubmitOrder") == []


@pytest.mark.parametrize(("name", "code"), [("twin", 6), ("web-*", 2), ("new-1", 6), ("x", 3)])
def test_exactly_one_active_device_is_meant(commander, simulator, name, code):
    result = commander("wipe", name, "--for-real", "--confirm", NAMED)
    assert result.code == code
    assert simulator.requests("SubmitOrder") == []


def test_a_device_that_forbids_it_is_told_at_once(commander, simulator):
    simulator.state.devices[4].denied[:] = ["wipe"]
    result = commander("wipe", "web-1")
    assert (result.code, "web-1: its own settings forbid wipe" in result.err) == (6, True)
    assert simulator.requests("SubmitOrder") == []


def test_for_real_it_shows_each_phase_and_is_wiped_only_on_the_signed_receipt(commander, book):
    book.plays[samples.WEB] = (
        "accepted",
        ("running", {"details": {"phase": "erasing-keys"}}),
        ("pause", 0.3),
        ("running", {"details": {"phase": "erasing-homes"}}),
        ("pause", 0.3),
        ("succeeded", {"details": DONE}),
    )
    typed = f"{samples.WEB}\nweb-1\n".encode()
    done = commander.terminal(
        "wipe", "web-1", "--for-real", "--no-reboot", typed=typed, NO_COLOR="1"
    )
    assert done.code == 0, done.out
    opened = book.opened(last(book).envelope)
    assert (opened.kind.name, opened.body.confirmation, opened.body.reboot) == (
        "wipe",
        NAMED,
        False,
    )
    places = [
        done.out.index(words)
        for words in (
            "A WIPE: destroys what is on the device",
            "web-1: erases the keys of encrypted volumes",
            "web-1: erases home folders",
            "web-1: WIPED.",
            "by the device's own signed receipt",
        )
    ]
    assert places == sorted(places)
    assert "is busy" in done.out


def test_the_servers_word_alone_does_not_count_as_wiped(commander, book):
    book.plays[samples.WEB] = (("succeeded", {"details": DONE, "vouched": False}),)
    done = commander("wipe", "web-1", "--for-real", "--confirm", NAMED)
    assert (done.code, "WIPED" in done.out) == (7, False)
    assert "nothing proves that it was wiped" in done.out
    assert "NOT vouched for" in done.out
    book.plays[samples.WEB] = (("succeeded", {"details": DONE, "forged": b"{}"}),)
    forged = commander("wipe", "web-1", "--for-real", "--confirm", NAMED)
    assert (forged.code, "NOT vouched for (NO: forged)" in forged.out) == (7, True)


def test_a_wipe_that_failed_partly_says_what_and_ends_with_1(commander, book):
    book.plays[samples.WEB] = (("failed", {"details": DONE, "reason": "not everything is done"}),)
    done = commander("wipe", "web-1", "--for-real", "--confirm", NAMED)
    assert done.code == 1
    for words in ("failed: not everything is done", "erase-home", "/home/bo", "is busy"):
        assert words in done.out
    assert "WIPED" not in done.out


def test_an_offline_device_is_told_as_that_and_looked_up_and_cancelled_later(commander, book):
    done = commander("wipe", "db-1", "--for-real", "--confirm", f"{samples.DB} db-1")
    assert (done.code, "offline; it goes on when the device connects" in done.out) == (8, True)
    status = commander("wipe", "status", "db-1")
    assert (status.code, "offline" in status.out) == (8, True)
    cancelled = commander("wipe", "cancel", "db-1", "--reason", "was found")
    assert cancelled.code == 0, cancelled.err
    assert "cancelled" in cancelled.out
    assert book.opened(last(book).envelope).kind.name == "cancel-wipe"
    assert commander("wipe", "cancel", "db-1").code == 6
    again = commander("wipe", "status", "db-1")
    assert (again.code, "db-1: cancelled" in again.out) == (1, True)
    assert commander("wipe", "status", "web-1").code == 3


def test_ctrl_c_leaves_the_wipe_alone(commander, book):
    gate = threading.Event()
    book.plays[samples.WEB] = (
        ("running", {"details": {"phase": "erasing-homes"}}),
        ("until", gate),
    )
    words = ("wipe", "web-1", "--for-real", "--confirm", NAMED)
    with commander.session(*words) as screen:
        screen.wait_for("erases home folders")
        screen.type("\x03")
        assert screen.ended() == 130
        assert "it goes on" in screen.seen
    gate.set()
    assert last(book).targets[samples.WEB].state == "running"


@pytest.mark.parametrize(
    "details",
    [
        [],
        "x",
        {"plan": 7},
        {"plan": {"accounts": 7, "homes": [[]], "processes": [], "level": []}},
        {"plan": {"accounts": [{"name": ["a"], "uid": {}}], "homes": [{"bytes": "x"}]}},
        {"plan": {"skipped": [{"what": "\x1b[2J", "why": "a\nroot: done"}]}, "phase": 7},
        {"done": {"steps": [], "erased_homes": [7], "failures": {"a": 1}}},
    ],
)
def test_details_of_any_form_are_survived(commander, book, details):
    for kind in ((), ("--for-real", "--confirm", NAMED)):
        book.act = lambda order_id, device_id: _say(book, order_id, device_id, details)
        done = commander("wipe", "web-1", *kind)
        # No receipt can hold what is no object: somebody else made that up.
        assert done.code == (7 if details == "x" else 0), done.err
        assert "\x1b" not in done.out
        assert "\nroot: done" not in done.out


def _say(book, order_id, device_id, details):
    said = {"raw": json.dumps(details).encode()}
    if isinstance(details, dict):
        said["details"] = details
    book.say(order_id, device_id, "succeeded", **said)


def test_two_operators_agree_on_a_wipe(fresh, home):
    pair = Pair(fresh, home)
    done = pair.alice("wipe", "web-1", "--for-real", "--confirm", NAMED)
    assert done.code == 8, done.err
    assert "Nothing happens on web-1 before that." in done.out
    (order_id,) = pair.book.kept
    assert f"bob: penguinctl order approve {order_id}" in done.err
    status = pair.alice("wipe", "status", "web-1")
    assert (status.code, "waits for a further signature" in status.out) == (8, True)
    for options in ([], ["--yes"], ["--confirm", f"{samples.WEB} web-2"]):
        refused = pair.bob("order", "approve", order_id, *options)
        assert (refused.code, pair.simulator.requests("ApproveOrder")) == (6, []), refused.err
    pair.book.plays[samples.WEB] = (("succeeded", {"details": DONE}),)
    approved = pair.bob("order", "approve", order_id, "--confirm", NAMED)
    assert approved.code == 0, approved.err
    assert "signed by alice, bob" in pair.bob("wipe", "status", "web-1").out
    # A dry run, and calling it off, need one signature.
    pair.book.plays[samples.WEB] = PLANNED
    assert pair.bob("wipe", "web-1").code == 0
