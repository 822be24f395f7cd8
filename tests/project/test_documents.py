"""The documents tell the truth about the tree."""

import ast
import re

import pytest

from tests.project import tree

DOCUMENTS = [path for path in tree.files() if path.suffix == ".md"]
READERS = {"text", "integer", "number", "boolean", "texts", "duration", "path", "section", "table"}
SETTINGS = (tree.ROOT / "docs/settings.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", DOCUMENTS, ids=tree.name)
def test_links_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)#]+)", path.read_text(encoding="utf-8"))
    inside = [target for target in targets if not target.startswith(("http:", "https:"))]
    assert [target for target in inside if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=tree.name)
def test_named_files_exist(path):
    named = re.findall(
        r"`([\w./-]+/[\w.-]*\.(?:py|cfg|toml|service|sysusers|proto|md|txt))`",
        (path.read_text(encoding="utf-8")),
    )
    inside = [tree.ROOT / place for place in ("", "proto", "penguin-agent", "penguind")]
    missing = [name for name in named if not name.startswith("/")]
    missing = [name for name in missing if not any((top / name).exists() for top in inside)]
    assert missing == []


def test_map_names_every_folder():
    text = (tree.ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    on_map = set(re.findall(r"^\| `([\w./-]+)/` \|", text, re.MULTILINE))
    in_tree = {tree.name(path).split("/")[0] for path in tree.files() if "/" in tree.name(path)}
    assert on_map == in_tree


def test_map_is_at_most_three_pages():
    lines = (tree.ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 3 * 60


def settings_read(path):
    """Return the names of settings that a module asks for."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        is_method = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if is_method and node.func.attr in READERS and node.args:
            name = node.args[0]
            if isinstance(name, ast.Constant) and re.fullmatch(r"\w+", str(name.value)):
                yield str(name.value)


@pytest.mark.parametrize(
    "name",
    [
        "penguind/config.py",
        "penguind/config_alerts.py",
        "penguin-agent/penguin_agent/config.py",
    ],
)
def test_every_setting_is_described(name):
    asked = set(settings_read(tree.ROOT / name))
    assert len(asked) > 5
    described = set(re.findall(r"\w+", SETTINGS))
    assert asked - described == set()


def test_changelog_names_the_version_or_what_is_unreleased():
    headings = re.findall(
        r"^## \[([^\]]+)\]", (tree.ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert headings[0] == "Unreleased" or re.fullmatch(r"\d+\.\d+\.\d+", headings[0])


def test_decisions_are_numbered_and_short():
    records = sorted((tree.ROOT / "docs/decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(1, len(records) + 1))
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}: ")
        assert {"**Context.**", "**Options.**", "**Decision.**", "**Price.**"} <= set(
            re.findall(r"\*\*\w+\.\*\*", text)
        )
