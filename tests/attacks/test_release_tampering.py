"""Trees that somebody with root's rights meddles with: links, strangers, swaps, and a race."""

import asyncio
import json
import os
import shutil
import tempfile
import threading
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from tests.attacks.kit.trees import NEW
from tests.penguin_agent.release_kit import Laptop, says

pytestmark = pytest.mark.timeout(300)
RACE_SECONDS = 5.0


def test_links_that_somebody_planted_are_not_followed(laptop):
    outside = laptop.folder / "outside"
    outside.mkdir()
    (outside / "one").write_bytes(says("one"))
    (outside / "one").chmod(0o755)
    shutil.rmtree(laptop.current / "plugins")
    (laptop.current / "plugins").symlink_to(outside)
    laptop.start()
    assert laptop.releases.checked.altered == ("plugins", "plugins/one", "plugins/two")
    assert laptop.collect() == {}
    # What is installed next is written into no planted folder either.
    (laptop.directory / ".new-6").symlink_to(outside)
    laptop.install(6, NEW)
    assert [path.name for path in outside.iterdir()] == ["one"]


def test_a_fifo_and_a_folder_in_a_files_place_hang_nothing(laptop):
    (laptop.current / "plugins/one").unlink()
    os.mkfifo(laptop.current / "plugins/one", 0o755)
    (laptop.current / "plugins/two").unlink()
    (laptop.current / "plugins/two").mkdir()
    laptop.start()
    assert laptop.releases.checked.altered == ("plugins/one", "plugins/two", "plugins/two")
    assert laptop.collect() == {}


def test_a_folder_that_is_very_deep_is_named_and_not_walked(laptop):
    deep = laptop.current / "plugins"
    for _level in range(300):
        deep = deep / "d"
        deep.mkdir()
    laptop.start()
    assert "plugins/d" in laptop.releases.checked.altered
    assert laptop.collect() == {"one": '"one"', "two": '"two"'}


def test_names_that_are_no_text_are_told_nevertheless(laptop):
    (Path(os.fsdecode(bytes(laptop.current / "plugins") + b"/\xff\xfe"))).write_bytes(b"")
    laptop.start()
    json.dumps(laptop.releases.words()).encode()
    assert laptop.releases.checked.altered == ("plugins/\\udcff\\udcfe",)


# 43 and 47: going back.


def test_a_tree_of_another_release_under_this_ones_name_does_not_run(laptop):
    laptop.install(6, NEW)
    shutil.rmtree(laptop.directory / "6")
    shutil.copytree(laptop.directory / "5", laptop.directory / "6")
    laptop.start()
    assert laptop.releases.checked.altered == ("tree.json",)
    assert laptop.collect() == {}


def test_a_list_with_another_signature_does_not_run(laptop):
    path = laptop.current / "tree.json"
    tree = laptop.releases.checked.tree
    (order,) = tree.orders
    forged = laptop.fleet.sign("release", order.payload, "mallory")
    data = path.read_bytes().replace(
        b64encode(order.signatures[0]), b64encode(forged.signatures[0])
    )
    path.write_bytes(data)
    laptop.start()
    assert laptop.releases.checked.altered == ("tree.json",)


def test_a_tree_of_another_fleet_does_not_run(laptop):
    laptop.fleet.id, before = "f-" + "a" * 26, laptop.fleet.id
    try:
        laptop.start()
        assert laptop.releases.checked.altered == ("tree.json",)
    finally:
        laptop.fleet.id = before


# 50: between looking and running.


@pytest.mark.parametrize("sealed", [True, False])
def test_what_runs_is_what_was_compared_however_often_it_is_swapped(operators, sealed):
    folder = Path(tempfile.mkdtemp(prefix="pd"))
    try:
        laptop = Laptop(folder, operators, sealed=sealed)
        laptop.install(1, {"plugins/one": says("good")})
        said = _race(laptop)
    finally:
        shutil.rmtree(folder)
    assert '"evil"' not in said
    # The control: both ends of the race were seen.
    assert said.count('"good"') > 0
    assert any("not as it was signed" in one for one in said)


def _race(laptop):
    """Return what the plugin said while a thread swapped its file all the time."""
    path = laptop.current / "plugins/one"
    fresh = path.with_name("fresh")
    ends = threading.Event()

    def swap():
        while not ends.is_set():
            for data in (says("evil"), says("good")):
                fresh.write_bytes(data)
                fresh.chmod(0o755)
                fresh.replace(path)
                with path.open("r+b") as file:
                    file.write(says("evil"))
                with path.open("r+b") as file:
                    file.write(says("good"))

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        return asyncio.run(_many(laptop))
    finally:
        ends.set()
        thread.join()


async def _many(laptop):
    loop = asyncio.get_running_loop()
    end = loop.time() + RACE_SECONDS
    said = []
    while loop.time() < end:
        # As if the tree had just been found whole: the last look counts, not the one before.
        laptop.releases.checked = replace(laptop.releases.checked, altered=())
        collected = await laptop.collector.collect(["one"])
        said += [one.json.decode() or one.reason for one in collected.outputs]
    return said
