"""Plugins of a signed tree run from the bytes that were verified, and from nothing else."""

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from penguin_agent.environment import package_folders
from penguin_agent.release.sealed import Programs
from penguindome.outputs import OutputStatus
from tests.penguin_agent.release_kit import Laptop, says
from tests.project import tree

SHIPPED = tree.ROOT / "penguin-agent/plugins"
SETTINGS = '{"plugins": {"greeting": {"word": "hello"}}}'
GREETING = b"""#!/usr/bin/env python3
import json, os
from penguindome.client import get_setting
print(json.dumps({"word": get_setting("plugins:greeting:word", ""), "args": __file__}))
"""


def test_what_runs_is_sealed_memory(laptop):
    laptop.install(1, {"plugins/where": b'#!/bin/sh\necho "\\"$0\\""\n'})
    assert laptop.collect()["where"].startswith('"/proc/self/fd/')
    assert laptop.releases.words()["sealed"]


def test_the_memory_cannot_be_changed(folder):
    with Programs(folder).lent("x", b"#!/bin/sh\n") as program:
        with pytest.raises(OSError, match="not permitted") as refused:
            os.open(program.path, os.O_WRONLY | os.O_TRUNC)
        assert refused.value.errno == errno.EPERM
        (number,) = program.pass_fds
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.write(number, b"x")


def test_programs_of_machine_code_run_too(laptop):
    laptop.install(1, {"plugins/words": Path("/usr/bin/nproc").read_bytes()})
    assert int(laptop.collect()["words"]) > 0


def test_python_plugins_find_our_packages_and_their_settings(folder, fleet):
    laptop = Laptop(folder, fleet)
    (folder / "settings.json").write_text(SETTINGS)
    laptop.settings_file = folder / "settings.json"
    laptop.start()
    laptop.install(1, {"plugins/greeting": GREETING})
    assert laptop.collect()["greeting"].startswith('{"args":"/proc/self/fd/')
    assert '"word":"hello"' in laptop.collect()["greeting"]


def test_all_shipped_plugins_work_from_memory(laptop):
    files = {f"plugins/{path.name}": path.read_bytes() for path in SHIPPED.iterdir()}
    laptop.install(1, files)
    collected = asyncio.run(laptop.bench.collect(None))
    assert {one.name for one in collected.outputs} == {path.stem for path in SHIPPED.iterdir()}
    failing = {
        one.name: one.reason for one in collected.outputs if one.status is OutputStatus.ERROR
    }
    assert failing == {}


def test_where_memory_may_not_run_private_copies_do(folder, fleet):
    laptop = Laptop(folder, fleet, sealed=False)
    laptop.install(1, {"plugins/where": b'#!/bin/sh\necho "\\"$0\\""\n'})
    assert laptop.collect()["where"].startswith(f'"{folder}/copies/where-')
    assert list((folder / "copies").iterdir()) == []
    assert (folder / "copies").stat().st_mode & 0o777 == 0o700
    assert not laptop.releases.words()["sealed"]


@pytest.mark.root
def test_a_kernel_that_forbids_memory_is_noticed(folder):
    setting = Path("/proc/sys/vm/memfd_noexec")
    before = setting.read_text()
    # One way only, for a pid namespace of its own.
    script = 'echo 2 > /proc/sys/vm/memfd_noexec; exec "$1" -c "$0"'
    code = (
        "import pathlib; from penguin_agent.release.sealed import Programs;"
        f"print(Programs(pathlib.Path('{folder}/c')).find_out())"
    )
    done = subprocess.run(
        ["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", script, code, sys.executable],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(package_folders())},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "False"
    assert setting.read_text() == before


def test_an_altered_plugin_does_not_run_and_is_named(laptop):
    laptop.install(1, {"plugins/one": says("one"), "plugins/two": says("two")})
    (laptop.current / "plugins/one").write_bytes(says("evil"))
    # Found when it is to run, before anybody looked at the tree.
    assert laptop.collect() == {
        "one": "cannot be started: the file is not as it was signed: it is another file",
        "two": '"two"',
    }
    assert laptop.releases.checked.altered == ("plugins/one",)
    assert laptop.collect() == {"two": '"two"'}
    assert laptop.collector.discover().problems == (("one", "is not as it was signed"),)


def test_a_missing_file_a_stranger_and_a_mode_are_named(laptop):
    laptop.install(1, {"plugins/one": says("one"), "plugins/two": says("two"), "data/x": b"x"})
    (laptop.current / "plugins/one").unlink()
    (laptop.current / "plugins/new").write_bytes(says("new"))
    (laptop.current / "plugins/new").chmod(0o755)
    (laptop.current / "empty").mkdir()
    (laptop.current / "data/x").chmod(0o666)
    laptop.start()
    assert laptop.releases.checked.altered == ("data/x", "empty", "plugins/new", "plugins/one")
    assert laptop.collect() == {"two": '"two"'}


def test_a_list_that_is_not_what_was_signed_stops_the_whole_tree(laptop):
    laptop.install(1, {"plugins/one": says("one")})
    path = laptop.current / "tree.json"
    path.write_bytes(path.read_bytes().replace(b'"label":"r1"', b'"label":"r2"'))
    laptop.start()
    assert laptop.releases.checked.altered == ("tree.json",)
    assert laptop.collect() == {}
    assert laptop.collector.discover().problems == (("tree.json", "is not as it was signed"),)


def test_a_tree_whose_signer_left_since_still_runs(laptop, fleet):
    laptop.install(1, {"plugins/one": says("one")})
    laptop.documents = [fleet.document("bob"), *laptop.documents]
    laptop.start()
    assert laptop.collect() == {"one": '"one"'}


def test_a_tree_that_nobody_trusted_ever_signed_does_not_run(laptop, fleet):
    laptop.install(1, {"plugins/one": says("one")})
    laptop.documents = [fleet.document("bob")]
    laptop.start()
    assert laptop.collect() == {}


def test_what_is_not_executable_or_deeper_is_no_plugin(laptop):
    laptop.install(1, {"plugins/one": says("one"), "plugins/lib/two": says("two")})
    assert laptop.collector.names() == ("one",)
    assert laptop.releases.checked.is_whole


def test_two_plugins_of_one_name_are_told(laptop):
    laptop.install(1, {"plugins/one.py": says("a"), "plugins/one.sh": says("b")})
    assert laptop.collect() == {"one": '"a"'}
    ((name, reason),) = laptop.collector.discover().problems
    assert name == "one.sh"
    assert "which is used instead" in reason


def test_a_link_to_nowhere_leaves_the_packages_own_plugins(laptop):
    path = laptop.package / "own"
    path.write_bytes(says("own"))
    path.chmod(0o755)
    laptop.install(1, {"plugins/one": says("one")})
    (laptop.directory / "current").unlink()
    (laptop.directory / "current").symlink_to("/etc")
    laptop.start()
    assert laptop.releases.checked.altered == ("current",)
    assert laptop.collect() == {"own": '"own"'}
