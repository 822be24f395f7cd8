"""What is built is what the tree says."""

import configparser
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile

import pytest

from tests.project import tree

GENERATED = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py")


@pytest.fixture(scope="module")
def wheel_file(tmp_path_factory):
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
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(wheel_file):
    """Return what the wheel holds."""
    with zipfile.ZipFile(wheel_file) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def installed(wheel_file, tmp_path_factory):
    """Return the programs' folder of a new environment that holds the wheel, not the checkout."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, symlinks=True)
    python = folder / "bin/python"
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps"]
    subprocess.run([*command, wheel_file], check=True, timeout=120)
    # The libraries are this environment's; .pth files of a folder that is named so do not count,
    # so the checkout, which is there by one, is not seen.
    (packages_folder,) = folder.glob("lib/python*/site-packages")
    (packages_folder / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


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
@pytest.mark.parametrize(
    "words",
    [
        "penguind",
        "penguind run",
        "penguind setup",
        "penguind backup",
        "penguind restore",
        "penguind doctor",
        "penguind ports",
        "penguinctl",
        "penguinctl alert",
        "penguinctl overview",
        "penguin-agent",
    ],
)
def test_installed_wheel_starts(installed, tmp_path, words):
    program, *more = words.split()
    done = subprocess.run(
        [installed / program, *more, "--help"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.lower().startswith(f"usage: {words} ")


@pytest.mark.timeout(300)
def test_installed_modules_find_all_that_they_import(installed, wheel, tmp_path):
    names = [
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in wheel
        if name.endswith(".py") and not name.endswith("__main__.py") and ".data/" not in name
    ]
    script = "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
    script += "import penguind; print(penguind.__file__)"
    done = subprocess.run(
        [installed / "python", "-c", script, *names],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert pathlib.Path(done.stdout.strip()).is_relative_to(installed.parent)


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
