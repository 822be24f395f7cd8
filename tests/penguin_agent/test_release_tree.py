"""Trees: made whole, verified, patched, taken back; what is in force is what operators signed."""

import json
from datetime import timedelta
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguin_agent.release import tree as trees
from penguin_agent.release.tree import PACKAGE, TreeName, patched, release_tree, tree_name
from penguindome.envelope import Envelope
from penguindome.errors import Damaged, PenguinDomeError
from penguindome.orders.bodies import PatchBody, PatchFile
from penguindome.orders.release_body import ReleaseBody
from tests.penguin_agent.release_kit import DEVICE, entry, says

FILES = {"plugins/one": says("one"), "plugins/two": says("two"), "data/words.txt": b"words"}


def modes(top):
    return {str(p.relative_to(top)): p.lstat().st_mode & 0o777 for p in top.rglob("*")}


def test_a_release_is_made_and_in_force(laptop):
    laptop.install(5, FILES)
    assert str((laptop.directory / "current").readlink()) == "5"
    assert laptop.files() == FILES
    assert laptop.releases.number == 5
    assert laptop.releases.checked.is_whole
    assert laptop.directory.stat().st_mode & 0o777 == 0o700
    found = modes(laptop.current)
    assert found["plugins"] == found["data"] == 0o700
    assert (found["plugins/one"], found["data/words.txt"]) == (0o755, 0o644)


def test_the_list_says_what_and_from_whom(laptop):
    order = laptop.release(5, FILES)
    laptop.obey(order)
    value = json.loads((laptop.current / "tree.json").read_bytes())
    assert (value["number"], value["label"]) == (5, "r5")
    assert {one["origin"] for one in value["files"]} == {order.order_id}
    digest = sha256(order.envelope.payload).hexdigest()
    assert value["orders"][0]["payload_sha256"] == digest


def test_what_did_not_change_is_linked_and_not_fetched_again(laptop):
    laptop.install(5, FILES)
    inode = (laptop.current / "plugins/one").stat().st_ino
    laptop.contents.asked.clear()
    laptop.install(6, {**FILES, "plugins/two": says("other")})
    assert (laptop.current / "plugins/one").stat().st_ino == inode
    assert len(laptop.contents.asked) == 1


def test_a_content_with_two_modes_stands_twice(laptop):
    laptop.contents.add(b"same")
    entries = (entry("a", b"same", 0o644), entry("b", b"same", 0o755))
    outcome, _ = laptop.obey(laptop.order("release", ReleaseBody("r", entries), seq=1))
    assert outcome.state == "succeeded"
    assert modes(laptop.current) == {"a": 0o644, "b": 0o755, "tree.json": 0o600}
    assert laptop.releases.checked.is_whole


def test_two_trees_before_are_kept(laptop):
    for number in range(1, 6):
        laptop.install(number, {"plugins/one": says(str(number))})
    assert laptop.releases.folder.names() == [TreeName(3), TreeName(4), TreeName(5)]
    assert len(list((laptop.directory / "blobs").iterdir())) == 3


def test_an_empty_file_and_an_empty_release_are_possible(laptop):
    laptop.install(1, {"data/empty": b""})
    assert laptop.files() == {"data/empty": b""}
    laptop.install(2, {})
    assert laptop.files() == {}


def test_an_older_release_is_not_installed(laptop):
    laptop.install(5, FILES)
    outcome, _ = laptop.obey(laptop.release(5, {}))
    assert (outcome.state, outcome.code) == ("failed", "not-newer")


def test_half_made_trees_go_at_the_start(laptop):
    (laptop.directory / ".new-7").mkdir()
    (laptop.directory / ".new-7" / "x").write_text("x")
    (laptop.directory / ".new-link").symlink_to("/etc")
    laptop.start()
    assert not list(laptop.directory.glob(".new-*"))


def test_a_patch_is_a_tree_of_its_own(laptop):
    laptop.install(5, FILES)
    outcome, _ = laptop.obey(laptop.patch({"plugins/one": says("new"), "data/words.txt": None}))
    assert (outcome.state, dict(outcome.details)) == ("succeeded", {"release": "5.1"})
    assert laptop.files() == {"plugins/one": says("new"), "plugins/two": says("two")}
    assert laptop.collect() == {"one": '"new"', "two": '"two"'}
    assert laptop.bench.renewed == [("one",)]
    laptop.obey(laptop.patch({"etc/x": b"x"}, inline=False))
    assert str((laptop.directory / "current").readlink()) == "5.2"
    laptop.start()
    assert laptop.releases.checked.is_whole


def test_a_patch_that_cannot_be_a_tree_changes_nothing(laptop):
    laptop.install(5, FILES)
    outcome, _ = laptop.obey(laptop.patch({"data": b"a file where a folder is"}))
    assert (outcome.state, outcome.code) == ("failed", "bad-files")
    assert laptop.files() == FILES


def test_a_newer_release_supersedes_patches(laptop):
    laptop.install(5, FILES)
    laptop.obey(laptop.patch({"plugins/one": says("new"), "data/more": b"more"}))
    laptop.install(6, FILES)
    assert laptop.files() == FILES
    laptop.start()
    assert laptop.releases.checked.is_whole


def test_a_patch_does_not_lie_over_a_newer_release_that_has_its_file(laptop):
    stale, other = laptop.patch({"plugins/One": says("stale")}), laptop.patch({"data/new": b"new"})
    # Within one second: what is signed has no finer times, but ids have.
    laptop.fleet.now += timedelta(milliseconds=300)
    laptop.install(5, FILES)
    outcome, _ = laptop.obey(stale)
    assert (outcome.state, outcome.code) == ("cancelled", "superseded")
    assert outcome.reason == "superseded by release 5"
    assert laptop.files() == FILES
    assert laptop.obey(other)[0].state == "succeeded"
    laptop.fleet.now += timedelta(milliseconds=300)
    assert laptop.obey(laptop.patch({"plugins/one": says("newer")}))[0].state == "succeeded"
    assert laptop.files() == {**FILES, "plugins/one": says("newer"), "data/new": b"new"}


def test_a_patch_over_the_packages_tree_leaves_the_rest_of_it(laptop):
    for name in ("a", "b", "c"):
        path = laptop.package / name
        path.write_bytes(says(f"package {name}"))
        path.chmod(0o755)
    laptop.obey(laptop.patch({"plugins/a": says("patched"), "plugins/b": None}))
    assert laptop.releases.number == 0
    assert laptop.collect() == {"a": '"patched"', "c": '"package c"'}
    laptop.start()
    assert laptop.collect() == {"a": '"patched"', "c": '"package c"'}


def test_a_patch_mends_what_was_altered(laptop):
    laptop.install(5, FILES)
    (laptop.current / "plugins/two").write_bytes(b"altered")
    laptop.releases.look()
    assert laptop.releases.checked.altered == ("plugins/two",)
    laptop.obey(laptop.patch({"data/more": b"more"}))
    assert laptop.releases.checked.is_whole
    assert laptop.files() == {**FILES, "data/more": b"more"}


def test_a_patch_does_not_build_on_a_tree_whose_list_was_altered(laptop):
    laptop.install(5, FILES)
    (laptop.current / "tree.json").write_bytes(b"{}")
    laptop.start()
    outcome, _ = laptop.obey(laptop.patch({"data/more": b"more"}))
    assert (outcome.state, outcome.code) == ("failed", "altered")
    laptop.install(6, FILES)
    assert laptop.releases.checked.is_whole


def test_plugins_that_a_release_turns_off_vanish(laptop):
    laptop.install(5, FILES, disabled_plugins=("two",))
    assert laptop.collector.names() == ("one",)
    assert laptop.collector.discover().problems == ()
    laptop.start()
    assert laptop.collect() == {"one": '"one"'}


def test_a_plugin_that_left_the_release_is_gone(laptop):
    laptop.install(5, FILES)
    laptop.install(6, {"plugins/one": says("one")})
    assert laptop.collector.names() == ("one",)


@pytest.mark.parametrize("name", ["0", "01", "1.0", "-1", "1.", "a", "1\n", "..", "", "1.01"])
def test_other_folders_are_no_trees(name):
    assert tree_name(name) is None


PATHS = st.sampled_from(["plugins/a", "plugins/b", "data/x", "data/y/z", "top"])
CHANGES = st.dictionaries(PATHS, st.none() | st.binary(max_size=8), min_size=1)


@given(st.dictionaries(PATHS, st.binary(max_size=8)), st.lists(CHANGES, max_size=6))
def test_a_tree_is_the_release_with_all_patches_in_their_order(fleet, files, patches):
    payload = fleet.order(None, "release", seq=3, body=_release(files).to_json())
    orders = [Envelope("release", payload, (b"s",))]
    wanted = dict(files)
    for changes in patches:
        body = PatchBody({DEVICE: "host"}, tuple(_change(*one) for one in changes.items()))
        orders.append(Envelope("patch", fleet.order(DEVICE, "patch", body=body.to_json()), (b"t",)))
        wanted |= changes
    tree = _made(orders)
    assert trees.from_json(trees.to_json(tree)) == tree
    assert str(tree.name) == ("3" if not patches else f"3.{len(patches)}")
    expected = {path: entry(path, data) for path, data in wanted.items() if data is not None}
    assert {path: one.entry for path, one in tree.present().items()} == expected


@given(st.binary(max_size=64), st.integers(0, 10_000))
def test_a_list_that_was_changed_is_refused(fleet, noise, at):
    payload = fleet.order(None, "release", seq=3, body=_release({"a": b"a"}).to_json())
    data = trees.to_json(_made([Envelope("release", payload, (b"s",))]))
    at %= len(data)
    changed = data[:at] + noise + data[at + len(noise) :]
    try:
        found = trees.from_json(changed)
    except Damaged:
        return
    assert changed == data or found.orders[0].signatures != (b"s",)


def _release(files):
    return ReleaseBody("r", tuple(entry(path, data) for path, data in files.items()))


def _change(path, data):
    return PatchFile(path, None if data is None else entry(path, data), data)


def _made(orders):
    tree = PACKAGE
    for envelope in orders:
        payload = trees.read_payload(envelope.payload)
        if envelope.kind == "patch":
            body = trees.patch_body(payload.body)
            tree = patched(tree, payload.id, body, envelope)
        else:
            body = trees.release_body(payload.body)
            tree = release_tree(payload.seq, payload.id, body, envelope)
    return tree


def test_what_makes_no_tree_is_our_error(laptop):
    for data in (b"", b"{}", b"[]", b'{"orders":[]}', b'{"orders":[1],"done":[]}'):
        with pytest.raises(PenguinDomeError):
            trees.from_json(data)
