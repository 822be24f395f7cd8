"""penguind as root, or on keys and settings that others can read or change: it does not start."""

import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.harness import ports
from tests.harness.process import environment
from tests.harness.server import NOBODY, Server

pytestmark = pytest.mark.timeout(120)
needs_root = pytest.mark.root
SECONDS = 15


@pytest.fixture(scope="module")
def server():
    folder = Path(mkdtemp(prefix="pd"))
    folder.chmod(0o711)
    made = Server(folder / "s")
    made.setup()
    yield made
    # The control: with everything back in place the same server starts.
    made.start()
    made.stop()
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def all_is_well_before_and_after(server):
    """Check that it is this one thing which is refused, and not another."""
    server.run("check-config")
    yield
    server.run("check-config")


@contextmanager
def spoiled(path, *, mode=None, uid=None, text=None):
    """Change a file or folder, and put it right again."""
    before = path.stat()
    content = path.read_bytes() if text is not None else b""
    if text is not None:
        path.write_text(text)
    if uid is not None:
        os.chown(path, uid, -1)
    path.chmod(before.st_mode & 0o7777 if mode is None else mode)
    try:
        yield path
    finally:
        if text is not None:
            path.write_bytes(content)
        os.chown(path, before.st_uid, before.st_gid)
        path.chmod(before.st_mode & 0o7777)


def refuses(server, *, as_root=False):
    """Return why the server refuses to start; it must never have listened."""
    line = server.words("run")
    if as_root:
        line = line[line.index("--") + 1 :]
    done = subprocess.run(
        line,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
        cwd="/",
        env=environment(HOME=str(server.folder), TMPDIR=str(server.folder)),
    )
    assert done.returncode not in {0, -6, -11}
    assert "Traceback" not in done.stderr
    assert "Serving" not in done.stderr
    assert not ports.listens(server.main_port)
    return done.stderr


LOOSE = [
    ("", 0o755),
    ("", 0o770),
    ("authority", 0o755),
    ("authority", 0o770),
    ("authority/device-ca-key.pem", 0o640),
    ("authority/device-ca-key.pem", 0o604),
    ("authority/operator-ca-key.pem", 0o640),
    ("authority/operator-ca-key.pem", 0o666),
    ("authority/anchor-key.pem", 0o644),
    ("tls/server-key.pem", 0o644),
    ("tls/server-key.pem", 0o660),
]


@pytest.mark.parametrize(("name", "mode"), LOOSE)
def test_key_or_folder_that_others_can_reach(server, name, mode):
    with spoiled(server.folder / "state" / name, mode=mode) as path:
        said = refuses(server)
    assert str(path) in said
    assert "chmod" in said


def with_database(server, lines):
    """Return the settings with an external database."""
    text = server.config.read_text()
    assert "[database]\n" in text
    return text.replace("[database]\n", f"[database]\n{lines}\n")


def test_settings_with_a_password_that_all_can_read(server):
    text = with_database(server, 'uri = "mongodb://u:secret-word@127.0.0.1:1/"')
    with spoiled(server.config, mode=0o644, text=text) as path:
        said = refuses(server)
    assert str(path) in said
    assert "chmod" in said
    assert "secret-word" not in said


def test_password_file_that_all_can_read(server):
    secret = server.folder / "password"
    secret.write_text("secret-word\n")
    secret.chmod(0o644)
    text = with_database(server, f'uri = "mongodb://127.0.0.1:1/"\npassword_file = "{secret}"')
    with spoiled(server.config, text=text):
        said = refuses(server)
    secret.unlink()
    assert str(secret) in said
    assert "secret-word" not in said


@pytest.mark.parametrize("mode", [0o602, 0o666])
def test_settings_that_all_can_change(server, mode):
    with spoiled(server.config, mode=mode) as path:
        said = refuses(server)
    assert str(path) in said
    assert "chmod" in said


@pytest.mark.root
@needs_root
@pytest.mark.parametrize(
    "name",
    ["", "authority", "authority/device-ca-key.pem", "authority/anchor-key.pem"],
)
def test_key_or_folder_of_another_user(server, name):
    with spoiled(server.folder / "state" / name, uid=12_345) as path:
        said = refuses(server)
    assert str(path) in said
    assert f"chown {NOBODY}" in said


@pytest.mark.root
@needs_root
def test_settings_of_another_user(server):
    with spoiled(server.config, uid=12_345, mode=0o644) as path:
        said = refuses(server)
    assert str(path) in said
    assert "chown" in said


@pytest.mark.root
@needs_root
@pytest.mark.parametrize("user", ["root", "no-such-user-here"])
def test_root_with_nobody_to_become(server, user):
    text = server.config.read_text().replace('user = "nobody"', f'user = "{user}"')
    assert f'user = "{user}"' in text
    with spoiled(server.config, text=text):
        said = refuses(server, as_root=True)
    assert "does not run as root" in said
