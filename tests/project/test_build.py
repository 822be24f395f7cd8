"""What is built is what the tree says."""

import configparser
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

from tests.project import tree

GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy of the tree, in the pinned build environment."""
    folder = tmp_path_factory.mktemp("wheel")
    for path in tree.files():
        copy = folder / "tree" / tree.name(path)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-cache-dir", "--no-deps"]
    subprocess.run(
        [*command, "--wheel-dir", str(folder), str(folder / "tree")], check=True, timeout=300
    )
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        yield {name: archive.read(name) for name in archive.namelist()}


def packages():
    """Return the packages that setup.cfg lists."""
    settings = configparser.ConfigParser()
    settings.read(tree.ROOT / "setup.cfg")
    return settings["options"]["packages"].split()


def test_setup_lists_every_package():
    in_tree = {
        ".".join((package, *path.parent.relative_to(folder).parts))
        for package, folder in tree.PACKAGE_FOLDERS.items()
        for path in tree.files()
        if path.name == "__init__.py" and path.is_relative_to(folder)
    }
    assert set(packages()) == in_tree


def test_folders_that_hold_packages_are_none():
    # With an __init__.py these names would hide installed packages of the same name.
    for folder in ("proto", "packaging", "systemd", "penguin-agent"):
        assert not (tree.ROOT / folder / "__init__.py").exists()


@pytest.mark.timeout(300)
def test_wheel_holds_every_module(wheel):
    shipped = {
        f"{package}/{path.relative_to(folder).as_posix()}"
        for package, folder in tree.PACKAGE_FOLDERS.items()
        for path in tree.files()
        if path.suffix in {".py", ".proto", ".yaml", ".typed"} and path.is_relative_to(folder)
    }
    built = {name for name in wheel if not name.endswith(GENERATED) and ".dist-info/" not in name}
    data = {name for name in built if ".data/" in name}
    assert built - data == shipped


@pytest.mark.timeout(300)
def test_wheel_holds_every_plugin(wheel):
    plugins = tree.ROOT / "penguin-agent/plugins"
    shipped = {
        path.name for path in tree.files() if path.parent == plugins and path.suffix != ".md"
    }
    built = {pathlib.Path(name).name for name in wheel if "share/penguin-agent/plugins/" in name}
    assert built >= shipped


@pytest.mark.timeout(300)
def test_generated_modules_are_up_to_date(wheel):
    built = {name: data for name, data in wheel.items() if name.endswith(GENERATED)}
    folder = tree.ROOT / "proto"
    stale = [
        name
        for name, data in built.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != data
    ]
    assert stale == [], "a .proto file changed: run make stubs"
    assert len(built) > len(list(folder.rglob("*.proto"))) * 2
