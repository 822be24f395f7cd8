"""Which files are plugins, and which are refused by name."""

from __future__ import annotations

import os

import pytest

from penguin_agent.collect.discovery import find_plugins

SCRIPT = "#!/bin/sh\necho 1\n"


def found(bed):
    discovery = find_plugins(bed.plugins, bed.local)
    return {spec.name: spec for spec in discovery.plugins}, dict(discovery.problems)


def test_name_is_the_file_without_its_last_ending(bed):
    for name in ("plain", "with.py", "two-words", "under_score"):
        bed.write(name, SCRIPT)
    plugins, problems = found(bed)
    assert list(plugins) == ["plain", "two-words", "under_score", "with"]
    assert problems == {}


@pytest.mark.parametrize("name", ["back~", ".hidden", "__init__.py"])
def test_files_that_mean_to_be_none_are_passed_over(bed, name):
    bed.write(name, SCRIPT)
    assert found(bed) == ({}, {})


def test_folders_and_files_without_the_execute_bit_are_passed_over(bed):
    bed.write("readme", "text", mode=0o644)
    (bed.plugins / "__pycache__").mkdir()
    assert found(bed) == ({}, {})


def test_local_plugins_are_marked_and_never_replace_shipped_ones(bed):
    bed.write("one", SCRIPT)
    bed.write("one.py", SCRIPT, folder=bed.local)
    bed.write("two", SCRIPT, folder=bed.local)
    plugins, problems = found(bed)
    assert not plugins["one"].local
    assert plugins["one"].path.parent == bed.plugins
    assert plugins["two"].local
    assert "has the name of" in problems["one.py"]


@pytest.mark.parametrize("name", ["a.b.c", "sp ace", "dollar$", "ü", "x" * 65])
def test_names_that_no_report_can_carry_are_refused(bed, name):
    bed.write(name, SCRIPT)
    plugins, problems = found(bed)
    assert plugins == {}
    assert "its name" in problems[name]


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_file_that_others_may_write_is_refused(bed, mode):
    bed.write("loose", SCRIPT, folder=bed.local, mode=mode)
    plugins, problems = found(bed)
    assert plugins == {}
    assert "chmod go-w" in problems["loose"]


def test_local_folder_that_others_may_write_is_refused(bed):
    bed.write("good", SCRIPT, folder=bed.local)
    bed.local.chmod(0o777)
    plugins, problems = found(bed)
    assert plugins == {}
    assert "chmod go-w" in problems[str(bed.local)]


def test_folder_below_one_that_others_may_write_is_refused(bed):
    deeper = bed.local / "deeper"
    deeper.mkdir()
    bed.write("good", SCRIPT, folder=deeper)
    bed.local.chmod(0o777)
    discovery = find_plugins(bed.plugins, deeper)
    assert discovery.plugins == ()
    assert "its parent" in discovery.problems[0][1]


def test_local_folder_that_is_a_link_is_refused(bed):
    bed.write("good", SCRIPT)
    bed.local.rmdir()
    bed.local.symlink_to(bed.plugins)
    plugins, problems = found(bed)
    assert not plugins["good"].local
    assert "a link is not followed" in problems[str(bed.local)]


@pytest.mark.parametrize("target", ["/bin/true", "../outside", "../plugins/good"])
def test_link_that_leaves_its_folder_is_refused(bed, target):
    bed.write("good", SCRIPT)
    bed.write("outside", SCRIPT, folder=bed.folder)
    (bed.local / "link").symlink_to(target)
    plugins, problems = found(bed)
    assert list(plugins) == ["good"]
    assert "leaves its folder" in problems["link"]


def test_links_that_loop_or_dangle_and_fifos_harm_nothing(bed):
    (bed.local / "loop").symlink_to("loop")
    (bed.local / "dangling").symlink_to("nowhere")
    os.mkfifo(bed.local / "fifo", 0o755)
    (bed.local / "fifo").chmod(0o755)
    plugins, problems = found(bed)
    assert plugins == {}
    assert "not a regular file" in problems["fifo"]


def test_link_within_the_folder_is_a_second_name(bed):
    bed.write("first", SCRIPT, folder=bed.local)
    (bed.local / "second").symlink_to("first")
    assert list(found(bed)[0]) == ["first", "second"]


@pytest.mark.root
def test_file_of_another_user_is_refused(bed):
    os.chown(bed.write("theirs", SCRIPT, folder=bed.local), 65534, 65534)
    plugins, problems = found(bed)
    assert plugins == {}
    assert "belongs to user 65534" in problems["theirs"]


def test_missing_local_folder_is_normal_and_missing_shipped_one_is_not(bed):
    discovery = find_plugins(bed.folder / "no", bed.folder / "neither")
    assert [name for name, _ in discovery.problems] == [str(bed.folder / "no")]
