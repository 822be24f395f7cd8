"""The checkout's files, as git sees them."""

import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAMS = ("penguindome", "penguin_agent", "penguinctl", "penguind")
PACKAGE_FOLDERS = {
    "penguindome": ROOT / "proto/penguindome",
    "penguin_agent": ROOT / "penguin-agent/penguin_agent",
    "penguinctl": ROOT / "penguinctl",
    "penguind": ROOT / "penguind",
}


def files() -> list[pathlib.Path]:
    """Return every file that is committed or could be, sorted; ignored ones are left out."""
    listed = subprocess.run(
        [
            "git",
            "-c",
            "safe.directory=*",
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    paths = (ROOT / name for name in set(listed.split("\0")) if name)
    return sorted(path for path in paths if path.is_file() and not path.is_symlink())


def starts_with(path: pathlib.Path, *beginnings: bytes) -> bool:
    """Tell whether the file's first line is that of one of these interpreters."""
    with path.open("rb") as file:
        first = file.readline(200)
    return first.startswith(b"#!") and any(name in first for name in beginnings)


def python_files() -> list[pathlib.Path]:
    """Return all Python files, executables without an ending included."""
    return [path for path in files() if path.suffix == ".py" or starts_with(path, b"python")]


def shell_files() -> list[pathlib.Path]:
    """Return all shell scripts."""
    return [path for path in files() if path.suffix == ".sh" or starts_with(path, b"sh\n", b"bash")]


def product_files() -> list[pathlib.Path]:
    """Return the Python files that are shipped: packages and plugins."""
    shipped = (*PACKAGE_FOLDERS.values(), ROOT / "penguin-agent/plugins")
    return [path for path in python_files() if any(path.is_relative_to(top) for top in shipped)]


def modules() -> list[str]:
    """Return the dotted names of all modules of the four packages, generated ones left out."""
    found = []
    for package, folder in PACKAGE_FOLDERS.items():
        for path in files():
            if path.suffix == ".py" and path.is_relative_to(folder):
                parts = (package, *path.relative_to(folder).with_suffix("").parts)
                found.append(".".join(part for part in parts if part != "__init__"))
    return sorted(found)


def name(path: pathlib.Path) -> str:
    """Return a file's path below the checkout."""
    return path.relative_to(ROOT).as_posix()
