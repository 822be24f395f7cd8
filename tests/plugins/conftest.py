"""Recorded machine states, laid out below a temporary root.

A state is a folder: `tools/NAME` holds what a tool printed (`NAME.err`: what it printed when it
failed; `NAME@WORD`: what it printed when called with a word that begins so), `root/` holds files,
`tree.txt` holds small files (`path = text`), links (`path -> target`) and empty folders (`path/`)
as of sysfs, `expected.json` what the plugin has to say.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from penguin_agent.parsers.tools import Answer
from penguindome.errors import NotFound

STATES = Path(__file__).parent


@dataclass(frozen=True)
class State:
    """One machine."""

    folder: Path
    root: Path

    @property
    def expected(self) -> Any:
        return json.loads((self.folder / "expected.json").read_text())

    def run(self, *words: str, timeout_seconds: float = 0) -> Answer:
        del timeout_seconds
        tools = self.folder / "tools"
        chosen = (f"{words[0]}@{word.partition(',')[0]}" for word in words[1:])
        name = next((name for name in chosen if (tools / name).exists()), words[0])
        good, bad = tools / name, tools / f"{words[0]}.err"
        if not good.exists() and not bad.exists():
            raise NotFound(f"{words[0]} is not installed")
        stdout = good.read_text() if good.exists() else ""
        stderr = bad.read_text() if bad.exists() else ""
        return Answer(1 if stderr else 0, stdout, stderr)

    def file(self, path: str) -> str:
        return (self.folder / "root" / path).read_text()


def lay_out(folder: Path, root: Path) -> State:
    """Make the files and links of a state."""
    if (folder / "root").is_dir():
        shutil.copytree(folder / "root", root, dirs_exist_ok=True)
    tree = folder / "tree.txt"
    for line in tree.read_text().splitlines() if tree.exists() else ():
        _lay(root, line)
    return State(folder, root)


def _lay(root: Path, line: str) -> None:
    path, arrow, target = line.partition(" -> ")
    if arrow:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).symlink_to(target)
        return
    path, equals, text = line.partition(" = ")
    if equals:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(f"{text}\n")
    elif line.strip():
        (root / path).mkdir(parents=True, exist_ok=True)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a `<plugin>_state` once per recorded state of that plugin."""
    for name in metafunc.fixturenames:
        plugin, found, _ = name.rpartition("_state")
        if found and plugin:
            folders = sorted(path for path in (STATES / plugin).iterdir() if path.is_dir())
            metafunc.parametrize(name, folders, ids=lambda path: path.name, indirect=True)


def _fixture(name: str) -> Any:
    @pytest.fixture(name=name)
    def state(request: pytest.FixtureRequest, tmp_path: Path) -> State:
        return lay_out(request.param, tmp_path)

    return state


firewall_state = _fixture("firewall_state")
hd_encryption_state = _fixture("hd_encryption_state")
sshd_state = _fixture("sshd_state")
os_info_state = _fixture("os_info_state")
dmidecode_state = _fixture("dmidecode_state")
network_devices_state = _fixture("network_devices_state")
ip_addresses_state = _fixture("ip_addresses_state")
guest_session_state = _fixture("guest_session_state")
