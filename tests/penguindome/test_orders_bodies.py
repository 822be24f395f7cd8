"""Bodies of orders: what is written is read, and nothing else is, whatever JSON can say."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguindome.errors import InvalidInput
from penguindome.orders.bodies import cancel_body, command_body, patch_body, wipe_body
from penguindome.orders.release_body import release_body
from penguindome.orders.shell_body import ShellBody, shell_body
from penguindome.strict_json import canonical_json, parse_json
from tests.penguindome.order_bodies import (
    DEVICES,
    cancels,
    commands,
    hostile,
    patches,
    releases,
    sessions,
    wipes,
)

if TYPE_CHECKING:
    from collections.abc import Callable

CODES = {"bad-payload", "bad-files"}
NAMES = {DEVICES[0]: "host"}
DIGEST = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
ENTRY = {"path": "plugins/a", "mode": "0644", "size": 0, "sha256": DIGEST}
KINDS = [
    (command_body, commands),
    (patch_body, patches),
    (release_body, releases),
    (wipe_body, wipes),
    (cancel_body, cancels),
    (shell_body, sessions()),
]
READ = [read for read, _ in KINDS]
COMMAND = {"hostnames": NAMES, "name": "n", "argv": ["true"], "timeout_seconds": 1}
COMMAND |= {"output_limit_bytes": 0}
PATCH = {"hostnames": NAMES, "files": [{"path": "plugins/a", "entry": ENTRY, "content": ""}]}
RELEASE = {"label": "one", "files": [ENTRY], "settings": {}}
WIPE = {"hostnames": NAMES, "level": "lock"}
CANCEL = {"hostnames": NAMES, "order_ids": ["0" * 26]}
SHELL = ShellBody(NAMES, bytes(32)).to_json()
GOOD = dict(zip(READ, (COMMAND, PATCH, RELEASE, WIPE, CANCEL, SHELL), strict=True))


def refused(read: Callable, value: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        read(value)
    assert caught.value.code in CODES
    return caught.value.code


def survive(read: Callable, value: object) -> None:
    """Read what may be good or not; nothing but a polite refusal may come of it."""
    try:
        read(parse_json(json.dumps(value).encode()))
    except InvalidInput as error:
        assert error.code in {*CODES, "bad-json"}  # noqa: PT017 -- it may pass, too


@pytest.mark.parametrize(("read", "strategy"), KINDS)
@given(st.data())
def test_what_is_written_is_read(read, strategy, data):
    body = data.draw(strategy)
    assert read(parse_json(canonical_json(body.to_json()))) == body


@pytest.mark.parametrize("read", READ)
def test_the_least_body_is_read(read):
    assert read(GOOD[read])


@pytest.mark.parametrize("read", READ)
@given(hostile)
def test_any_json_is_read_or_refused_politely(read, value):
    survive(read, value)


@pytest.mark.parametrize("read", READ)
@given(st.data())
def test_any_field_may_be_anything_and_nothing_crashes(read, data):
    value = dict(GOOD[read])
    value[data.draw(st.sampled_from(sorted(value)))] = data.draw(hostile)
    survive(read, value)


@given(st.data())
def test_any_field_of_a_file_may_be_anything_and_nothing_crashes(data):
    entry = {**ENTRY, data.draw(st.sampled_from(sorted(ENTRY))): data.draw(hostile)}
    survive(release_body, {**RELEASE, "files": [entry]})
    survive(patch_body, {**PATCH, "files": [{"path": "plugins/a", "entry": entry}]})
    one = {**PATCH["files"][0], data.draw(st.sampled_from(["path", "content", "remove"])): None}
    one["remove"] = data.draw(hostile)
    survive(patch_body, {**PATCH, "files": [one]})


@given(st.data())
def test_any_setting_of_a_release_may_be_anything_and_nothing_crashes(data):
    names = ["collect_interval_seconds", "plugin_interval_seconds", "disabled_plugins", "other"]
    value = {data.draw(st.sampled_from(names)): data.draw(hostile)}
    survive(release_body, {**RELEASE, "settings": value})


@pytest.mark.parametrize("read", READ)
def test_an_unknown_field_is_refused(read):
    assert refused(read, {**GOOD[read], "crit": []}) == "bad-payload"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "a b"},
        {"name": "a\n"},
        {"name": ""},
        {"name": "../a"},
        {"user": "-u"},
        {"user": "root\n"},
        {"user": "a:b"},
        {"user": ""},
        {"argv": []},
        {"argv": [""]},
        {"argv": ["a\0b"]},
        {"argv": ["a", 1]},
        {"argv": "true"},
        {"argv": ["a"] * 257},
        {"argv": ["a" * 65537]},
        {"script": "*"},
        {"script": "A"},
        {"script": "QUI\n="},
        {"script": "A" * 4 * 43691},
        {"timeout_seconds": 0},
        {"timeout_seconds": True},
        {"timeout_seconds": 86401},
        {"timeout_seconds": "1"},
        {"output_limit_bytes": -1},
        {"output_limit_bytes": 2**26 + 1},
        {"hostnames": {}},
        {"hostnames": {"d-1": "host"}},
        {"hostnames": {DEVICES[0]: "h\x1b[0m"}},
        {"hostnames": {DEVICES[0]: ""}},
        {"hostnames": {DEVICES[0]: 1}},
        {"hostnames": [DEVICES[0]]},
    ],
)
def test_a_command_that_nobody_should_run_is_refused(change):
    assert refused(command_body, {**COMMAND, **change}) == "bad-payload"


@pytest.mark.parametrize(
    "file",
    [
        {"path": "plugins/a"},
        {"path": "plugins/a", "remove": True, "entry": ENTRY},
        {"path": "plugins/a", "remove": True, "content": ""},
        {"path": "plugins/a", "remove": 1},
        {"path": "plugins/b", "entry": ENTRY},
        {"path": "../a", "remove": True},
        {"path": "plugins/a", "entry": {**ENTRY, "path": "../a"}},
        {"path": "plugins/a", "entry": ENTRY, "content": "QQ=="},
        {"path": "plugins/a", "entry": {**ENTRY, "size": 1}, "content": ""},
        {"path": "plugins/a", "entry": {**ENTRY, "sha256": "0" * 64}, "content": ""},
        {"path": "plugins/a", "entry": ENTRY, "content": None},
    ],
)
def test_a_file_of_a_patch_that_says_two_things_is_refused(file):
    refused(patch_body, {**PATCH, "files": [file]})


def test_a_patch_without_files_or_with_a_path_twice_is_refused():
    assert refused(patch_body, {**PATCH, "files": []}) == "bad-payload"
    other = {"path": "Plugins/A", "remove": True}
    assert refused(patch_body, {**PATCH, "files": [*PATCH["files"], other]}) == "bad-payload"


@pytest.mark.parametrize(
    "settings",
    [
        {"collect_interval_seconds": None},
        {"collect_interval_seconds": 0},
        {"submit_interval_seconds": 86401},
        {"plugin_interval_seconds": {"../a": 1}},
        {"plugin_interval_seconds": {"a": True}},
        {"plugin_interval_seconds": {"a": 0}},
        {"disabled_plugins": ["A/b"]},
        {"disabled_plugins": ["a"] * 501},
    ],
)
def test_a_setting_out_of_bounds_is_refused(settings):
    assert refused(release_body, {**RELEASE, "settings": settings}) == "bad-payload"


@pytest.mark.parametrize(
    "change",
    [
        {"level": "everything"},
        {"level": ""},
        {"hostnames": {DEVICES[0]: "one", DEVICES[1]: "two"}},
        {"reboot": 1},
        {"confirmation": "a" * 513},
    ],
)
def test_a_wipe_of_something_else_is_refused(change):
    assert refused(wipe_body, {**WIPE, **change}) == "bad-payload"


@pytest.mark.parametrize("ids", [[], ["x"], ["0" * 25], ["0" * 26] * 1001, ["o" * 26]])
def test_a_cancellation_of_nothing_is_refused(ids):
    assert refused(cancel_body, {**CANCEL, "order_ids": ids}) == "bad-payload"


@pytest.mark.parametrize(
    "change",
    [
        {"hostnames": {DEVICES[0]: "one", DEVICES[1]: "two"}},
        {"operator_key": "QUFB"},
        {"operator_key": "*"},
        {"purpose": "tunnel"},
        {"purpose": "copy-to", "path": "/a"},
        {"purpose": "copy-from", "path": "/a", "sha256": "0" * 64},
        {"purpose": "copy-from"},
        {"path": "/etc/shadow"},
        {"user": "-root"},
        {"argv": [""]},
        {"term": "xterm\nA=b"},
        {"lang": "../../evil"},
        {"columns": 0},
        {"idle_seconds": 9},
        {"longest_seconds": 10**6},
        {"recording": "no"},
        {"auditor_keys": ["A" * 20000]},
        {"mode": "4755"},
        {"mode": "777"},
        {"moderated": 1},
    ],
)
def test_a_session_that_nobody_should_hold_is_refused(change):
    assert refused(shell_body, {**SHELL, **change}) == "bad-payload"
