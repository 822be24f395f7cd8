"""The files of a release: other bytes than were signed, endless bytes, strange paths."""

import itertools
import os
from dataclasses import replace
from hashlib import sha256

import pytest

from penguin_agent.release import blobs, fetch
from penguindome.errors import Forbidden, InvalidInput
from penguindome.orders.manifest import check_manifest, entry_from_json
from penguindome.orders.opening import open_order
from tests.attacks.kit.trees import NEW, OLD
from tests.penguin_agent.release_kit import DEVICE, entry, says

pytestmark = pytest.mark.timeout(300)


def still_old(laptop):
    assert laptop.files() == OLD
    assert laptop.collect() == {"one": '"one"', "two": '"two"'}
    assert not list(laptop.directory.glob(".new-*"))
    laptop.start()
    assert laptop.releases.checked.is_whole


def digest(data):
    return sha256(data).hexdigest()


def test_the_control_an_honest_server_installs_it(laptop):
    laptop.install(6, NEW)
    assert laptop.collect() == {"one": '"new"', "three": '"three"'}


# 44: what the server sends.


def test_a_content_of_another_release_is_refused(laptop):
    order = laptop.release(6, NEW)
    laptop.contents.blobs[digest(NEW["plugins/one"])] = OLD["plugins/one"]
    outcome, _ = laptop.obey(order)
    assert (outcome.state, outcome.code) == ("failed", "wrong-content")
    still_old(laptop)


def test_a_content_of_the_right_length_and_other_bytes_is_refused(laptop):
    order = laptop.release(6, NEW)
    laptop.contents.blobs[digest(NEW["plugins/one"])] = says("evl")
    outcome, _ = laptop.obey(order)
    assert (outcome.state, outcome.code) == ("failed", "wrong-content")
    still_old(laptop)


def test_a_content_that_is_longer_is_given_up_at_the_first_byte_too_many(laptop):
    order = laptop.release(6, NEW)
    sent = []

    def longer():
        for piece in (NEW["plugins/one"], b"x", b"y" * 1000):
            sent.append(piece)
            yield piece

    laptop.contents.pieces[digest(NEW["plugins/one"])] = longer
    outcome, _ = laptop.obey(order)
    assert (outcome.state, outcome.code) == ("failed", "wrong-content")
    assert len(sent) == 2
    still_old(laptop)


@pytest.mark.parametrize("piece", [b"x" * 4096, b"x"])
def test_an_endless_content_is_given_up(laptop, piece):
    order = laptop.release(6, NEW)
    pieces = laptop.contents.pieces
    pieces[digest(NEW["plugins/one"])] = lambda: itertools.repeat(piece)
    outcome, _ = laptop.obey(order)
    assert (outcome.state, outcome.code) == ("failed", "wrong-content")
    still_old(laptop)


def test_a_stream_of_nothing_is_given_up_and_asked_again(laptop):
    order = laptop.release(6, NEW)
    name = digest(NEW["plugins/one"])
    tries = []

    def nothing():
        tries.append(1)
        if len(tries) > 1:
            del laptop.contents.pieces[name]
        return itertools.repeat(b"")

    laptop.contents.pieces[name] = nothing
    outcome, _ = laptop.obey(order)
    assert (outcome.state, len(tries)) == ("succeeded", 2)


def test_a_stream_of_nothing_for_ever_ends_with_the_order(laptop):
    order = laptop.release(6, NEW)
    order = replace(order, expires_time=order.issued_time)
    laptop.contents.pieces[digest(NEW["plugins/one"])] = lambda: itertools.repeat(b"")
    outcome, _ = laptop.obey(order)
    assert (outcome.state, outcome.code) == ("failed", "timeout")
    still_old(laptop)


def test_a_server_that_never_gives_a_content_is_not_asked_for_ever(laptop):
    laptop.contents.cut = [0] * 100
    laptop.contents.asked.clear()
    outcome, _ = laptop.obey(laptop.release(6, {**OLD, "data/large": b"large"}))
    assert (outcome.state, outcome.code) == ("failed", "unavailable")
    assert len(laptop.contents.asked) == fetch.BARREN_LIMIT
    still_old(laptop)


def test_a_lost_connection_goes_on_where_it_was(laptop):
    large = os.urandom(100_000)
    order = laptop.release(6, {**OLD, "data/large": large})
    laptop.contents.cut = [10_000, 0, 50_000]
    outcome, _ = laptop.obey(order)
    assert outcome.state == "succeeded"
    asked = [at for _order, name, at in laptop.contents.asked if name == digest(large)]
    assert asked == [0, 10_000, 10_000, 60_000]
    assert laptop.files()["data/large"] == large


def test_a_part_that_somebody_changed_is_fetched_anew(laptop):
    large = os.urandom(50_000)
    order = laptop.release(6, {**OLD, "data/large": large})
    name = blobs.name_of(entry("data/large", large))
    (laptop.directory / "blobs" / f"{name}.part").write_bytes(b"x" * 40_000)
    outcome, _ = laptop.obey(order)
    assert outcome.state == "succeeded"
    assert laptop.files()["data/large"] == large


def test_a_content_that_nobody_has_fails_the_release_alone(laptop):
    order = laptop.release(6, NEW)
    del laptop.contents.blobs[digest(NEW["plugins/one"])]
    outcome, _ = laptop.obey(order)
    assert (outcome.state, outcome.code) == ("failed", "no-content")
    still_old(laptop)


def test_a_release_that_does_not_fit_is_refused_before_anything_is_fetched(laptop, monkeypatch):
    monkeypatch.setattr(fetch, "RESERVE_BYTES", 2**62)
    laptop.contents.asked.clear()
    outcome, _ = laptop.obey(laptop.release(6, NEW))
    assert (outcome.state, outcome.code) == ("failed", "disk-full")
    assert laptop.contents.asked == []
    still_old(laptop)


def test_a_patch_whose_content_is_not_its_own_is_refused(laptop):
    order = laptop.patch({"plugins/one": says("abc")})
    (one,) = order.body.files
    body = replace(order.body, files=(replace(one, content=says("xyz")),))
    outcome, _ = laptop.obey(laptop.order("patch", body, seq=None))
    assert (outcome.state, outcome.code) == ("failed", "wrong-content")
    still_old(laptop)


# 46: paths.


GOOD = {"mode": "0755", "size": 1, "sha256": "0" * 64}
PATHS = [
    "/etc/passwd",
    "../x",
    "plugins/../../x",
    "plugins/..",
    "plugins/./x",
    "plugins//x",
    "plugins/",
    "",
    ".",
    ".hidden",
    "plugins/.hidden",
    "-rf",
    "plugins/x\n",
    "plugins/x\0",
    "plugins\\x",
    "plugins/x y",
    "plugins/\u202ex",
    "plugins/\u00fc",
    "a" * 66,
    "/".join("abcdefghi"),
    "plugins/" + "a" * 255,
    "tree.json",
    "TREE.JSON",
    7,
    None,
    ["plugins/x"],
]


@pytest.mark.parametrize("path", PATHS, ids=repr)
def test_a_strange_path_refuses_the_whole_list(laptop, path):
    with pytest.raises(InvalidInput):
        entry_from_json({**GOOD, "path": path})
    payload = laptop.fleet.order(
        None, "release", seq=6, body={"label": "r", "files": [{**GOOD, "path": path}]}
    )
    refused_by_the_engine(laptop, "release", payload)


def refused_by_the_engine(laptop, kind, payload):
    with pytest.raises(Forbidden):
        open_order(
            laptop.fleet.sign(kind, payload, "alice"),
            trust=laptop.documents[0],
            fleet=laptop.fleet.id,
            device_id=DEVICE,
            now=laptop.fleet.now,
        )


@pytest.mark.parametrize(
    "paths", [("plugins/x", "plugins/X"), ("a", "a/b"), ("A", "a/b"), ("x", "x")]
)
def test_paths_that_collide_refuse_the_whole_list(paths):
    with pytest.raises(InvalidInput):
        check_manifest([entry(path, b"") for path in paths])


@pytest.mark.parametrize("mode", ["4755", "0777", "0600", "755", 0o755, None])
def test_other_modes_are_refused(mode):
    with pytest.raises(InvalidInput):
        entry_from_json({**GOOD, "path": "plugins/x", "mode": mode})
