"""The manual pages name every command, option and setting, and none that does not exist."""

import re
import subprocess

import pytest

from penguin_agent.cli import parser
from penguinctl.cli import cli as penguinctl
from penguind.cli import cli as penguind
from tests.harness import recorder
from tests.project import tree
from tests.project.test_documents import SETTINGS as SETTINGS_PAGE
from tests.project.test_documents import settings_read

PAGES = sorted((tree.ROOT / "man").iterdir())
PROGRAMS = [
    ("penguin-agent.8", parser()),
    ("penguinctl.1", penguinctl),
    ("penguind.8", penguind),
]
SETTINGS = [
    ("penguin-agent.toml.5", "penguin-agent/penguin_agent/config.py"),
    ("penguind.toml.5", "penguind/config.py"),
    ("penguind.toml.5", "penguind/config_alerts.py"),
]
# Said once for all commands.
COMMON = {"-h", "--help", "-o", "--output", "--columns", "--sort", "--watch", ""}


def page(name):
    return (tree.ROOT / "man" / name).read_text(encoding="utf-8")


def commands(text):
    """Return what stands on a page by command, and under "" what stands before all of them."""
    head, _, rest = text.partition(".Sh COMMANDS\n")
    pieces = re.split(r"^\.It Ic ", rest.partition("\n.Sh ")[0], flags=re.MULTILINE)[1:]
    found = {"": head}
    for piece in pieces:
        name = re.match(r"[a-z -]*[a-z](?= |\n|$)", re.split(r" (?:O[op]|Ar|Fl) ", piece)[0])
        found[name[0]] = piece
    return found


def flags(text):
    return {f"-{flag}" for flag in re.findall(r"\bFl (-?[A-Za-z][a-z-]*)", text)}


@pytest.mark.parametrize(("name", "program"), PROGRAMS)
def test_page_of_a_program(name, program):
    text = page(name)
    described = commands(text)
    wanted: dict[str, set[str]] = {}
    groups = set()
    for command, option in recorder.demanded(program):
        verb = command.partition(" ")[2]
        wanted.setdefault(verb, set()).add(option)
        groups |= {verb} if (command, "") not in recorder.demanded(program) else set()
    assert set(described) - {""} == set(wanted) - groups
    for verb in set(wanted) - groups | {""}:
        assert flags(described[verb]) - COMMON == wanted[verb] - COMMON, verb
    assert COMMON & {option for options in wanted.values() for option in options} - {""} <= flags(
        text
    )


@pytest.mark.parametrize(("name", "module"), SETTINGS)
def test_page_of_settings(name, module):
    text = page(name)
    described = set(re.findall(r"\bVa (\w+)", text))
    described |= set(re.findall(r"^\.Ss \[(\w+)", text, re.MULTILINE))
    assert set(settings_read(tree.ROOT / module)) <= described
    # That page is held against the programs as well.
    assert described <= set(re.findall(r"\w+", SETTINGS_PAGE))


@pytest.mark.parametrize("path", PAGES, ids=tree.name)
def test_page_is_clean(path):
    done = subprocess.run(
        ["groff", "-mandoc", "-Tutf8", "-ww", "-z", path],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stderr == ""


@pytest.mark.parametrize("path", PAGES, ids=tree.name)
def test_page_is_installed(path):
    text = (tree.ROOT / "setup.cfg").read_text(encoding="utf-8")
    assert re.search(rf"^share/man/man{path.name[-1]} =(\n    .*)*{path.name}", text, re.MULTILINE)
