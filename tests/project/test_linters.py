"""Every linter, as a test: a finding fails the suite."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.project import tree

BIN = pathlib.Path(sys.executable).parent
# Linters look for endings; plugins and other executables have none.
EXECUTABLES = [path for path in tree.python_files() if path.suffix != ".py"]
CODE = [
    tree.ROOT / name for name in ("proto/penguindome", "penguin-agent", "penguind", "penguinctl")
]
LINTERS = {
    "ruff": [BIN / "ruff", "check", "--quiet", "--output-format=concise", ".", *EXECUTABLES],
    "ruff-format": [BIN / "ruff", "format", "--check", "--quiet", ".", *EXECUTABLES],
    "mypy": [BIN / "mypy"],
    "mypy-executables": [BIN / "mypy", "--scripts-are-modules", *EXECUTABLES],
    "import-linter": [BIN / "lint-imports"],
    "vulture": [BIN / "vulture", *CODE, tree.ROOT / "tests", *EXECUTABLES],
    "buf": [BIN / "buf", "lint"],
}


def run(command, **environment):
    """Run a linter on the checkout and fail with what it found."""
    done = subprocess.run(
        [str(word) for word in command],
        cwd=tree.ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "MYPYPATH": "", **environment},
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("linter", LINTERS)
def test_linter_finds_nothing(linter, tmp_path):
    run(LINTERS[linter], BUF_CACHE_DIR=str(tmp_path), XDG_CACHE_HOME=str(tmp_path))


def test_spelling():
    texts = [path for path in tree.files() if not is_recorded(path)]
    run([BIN / "codespell", *texts])


def is_recorded(path):
    """Tell whether a file is what some machine printed, misspelt or not."""
    inside = path.is_relative_to(tree.ROOT / "tests/plugins")
    return inside and path.suffix not in {".py", ".md"}


def test_shell_scripts():
    run(["shellcheck", *tree.shell_files()])
