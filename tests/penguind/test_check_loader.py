"""The site's directory of checks: overriding, switching off, mistakes and reloading."""

from __future__ import annotations

import asyncio
import os

import pytest

from penguind import check_loader
from penguind.check_loader import CheckLoader, shipped_checks

FIREWALL = "firewall-disabled"
ODD = "name: odd\nsummary: {}\nseverity: low\nremedy: r\nfails: {{plugins.x: 1}}\n"


@pytest.fixture
def loader(tmp_path):
    return CheckLoader(tmp_path)


def write(folder, name: str, text: str) -> None:
    """Replace a file at once, as editors do."""
    new = folder / f".{name}.new"
    new.write_text(text)
    new.replace(folder / name)


def problems(loader) -> dict[str, str]:
    return {one.origin: one.reason for one in loader.current.problems}


def test_shipped_checks_are_in_force_without_a_directory(tmp_path):
    for directory in (None, tmp_path / "none"):
        loader = CheckLoader(directory)
        assert not loader.refresh()
        assert list(loader.current.checks) == sorted(shipped_checks())
        assert not loader.current.problems


def test_site_adds_overrides_and_switches_off(loader, tmp_path):
    write(tmp_path, "a.yaml", ODD.format("one"))
    write(tmp_path, "b.yml", ODD.format("mine").replace("odd", FIREWALL))
    write(tmp_path, "c.yaml", "name: no-location\nenabled: false\n")
    write(tmp_path, "d.yaml~", "rubbish")
    assert loader.refresh()
    assert loader.current.get("odd").origin == "a.yaml"
    assert loader.current.get(FIREWALL).summary == "mine"
    assert loader.current.get("no-location") is None
    assert not loader.current.problems
    assert not loader.refresh()


def test_bad_file_keeps_what_it_said_before(loader, tmp_path):
    write(tmp_path, "a.yaml", ODD.format("one"))
    loader.refresh()
    write(tmp_path, "a.yaml", ODD.format("two").replace("plugins.x", "$where"))
    assert loader.refresh()
    assert loader.current.get("odd").summary == "one"
    assert "$where" in problems(loader)["a.yaml"]
    assert not loader.refresh()
    write(tmp_path, "a.yaml", ODD.format("three"))
    assert loader.refresh()
    assert loader.current.get("odd").summary == "three"
    assert not problems(loader)


def test_file_that_was_never_good_is_a_problem_and_no_check(loader, tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "b.yaml").mkdir()
    (tmp_path / "c.yaml").symlink_to(tmp_path / "none")
    write(tmp_path, "d.yaml", "x" * 300_000)
    loader.refresh()
    assert list(problems(loader)) == ["a.yaml", "b.yaml", "c.yaml", "d.yaml"]
    assert list(loader.current.checks) == sorted(shipped_checks())


def test_deleted_file_takes_its_check_along(loader, tmp_path):
    write(tmp_path, "a.yaml", ODD.format("one"))
    loader.refresh()
    (tmp_path / "a.yaml").unlink()
    assert loader.refresh()
    assert loader.current.get("odd") is None


def test_second_file_with_a_name_is_a_problem(loader, tmp_path):
    write(tmp_path, "a.yaml", ODD.format("one"))
    write(tmp_path, "b.yaml", ODD.format("two"))
    loader.refresh()
    assert loader.current.get("odd").summary == "one"
    assert "a.yaml" in problems(loader)["b.yaml"]


def test_change_of_the_same_size_and_time_is_seen(loader, tmp_path):
    write(tmp_path, "a.yaml", ODD.format("one"))
    loader.refresh()
    before = (tmp_path / "a.yaml").stat()
    write(tmp_path, "a.yaml", ODD.format("two"))
    os.utime(tmp_path / "a.yaml", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert loader.refresh()
    assert loader.current.get("odd").summary == "two"


def test_poll_calls_back_after_a_change(loader, tmp_path, monkeypatch):
    monkeypatch.setattr(check_loader, "POLL_SECONDS", 0.02)

    async def run() -> None:
        changed = asyncio.Event()
        task = asyncio.ensure_future(loader.run(changed.set))
        write(tmp_path, "a.yaml", ODD.format("one"))
        async with asyncio.timeout(10):
            await changed.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loader.current.get("odd")

    asyncio.run(run())
