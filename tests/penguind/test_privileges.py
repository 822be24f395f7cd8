from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import mkdtemp

import pytest

from penguind import privileges
from penguind.config import load_settings
from penguind.setup.file import Answers
from penguind.setup.steps import make_server
from penguindome.errors import NotFound, PreconditionFailed
from penguindome.times import utc_now


@pytest.fixture
def settings():
    folder = Path(mkdtemp(prefix="pd", dir="/tmp"))
    answers = Answers(state_dir=folder / "state", user="nobody", advertised_host="127.0.0.1")
    found = make_server(folder / "penguind.toml", answers, utc_now, lambda _: None)
    if os.geteuid() == 0:
        # Set-up gave it to the service's user; these tests look as whoever runs them.
        for path in [found.server.state_dir, *found.server.state_dir.rglob("*")]:
            os.chown(path, 0, 0)
    yield found
    shutil.rmtree(folder)


def test_what_setup_makes_is_accepted(settings):
    privileges.check_files(settings)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "authority",
        "authority/device-ca-key.pem",
        "authority/operator-ca-key.pem",
        "tls/server-key.pem",
    ],
)
def test_a_mode_that_lets_others_in_is_refused_with_the_remedy(settings, name):
    path = settings.server.state_dir / name
    path.chmod(path.stat().st_mode | 0o005)
    with pytest.raises(PreconditionFailed) as caught:
        privileges.check_files(settings)
    assert "chmod" in caught.value.remedy
    assert str(path) in caught.value.remedy


@pytest.mark.root
@pytest.mark.root
def test_a_state_folder_of_somebody_else_is_refused(settings):
    os.chown(settings.server.state_dir, 65534, 65534)
    with pytest.raises(PreconditionFailed, match="chown"):
        privileges.check_files(settings)


def test_a_missing_state_folder_says_what_to_do(settings):
    shutil.move(settings.server.state_dir, settings.server.state_dir.with_name("gone"))
    with pytest.raises(PreconditionFailed, match="penguind setup"):
        privileges.check_files(settings)


def test_a_missing_key_is_named(settings):
    (settings.server.state_dir / "authority/device-ca-key.pem").unlink()
    with pytest.raises(NotFound) as caught:
        privileges.check_files(settings)
    assert "device-ca-key.pem" in caught.value.text()


def test_a_settings_file_with_a_password_must_be_closed(settings):
    text = settings.path.read_text().replace("[database]", '[database]\nuri = "mongodb://u:p@h/"')
    settings.path.write_text(text)
    settings.path.chmod(0o644)
    with pytest.raises(PreconditionFailed, match="0640"):
        privileges.check_files(load_settings(settings.path))
    settings.path.chmod(0o640)
    privileges.check_files(load_settings(settings.path))


@pytest.mark.parametrize("user", ["root", "no-such-user-here"])
def test_root_or_nobody_to_become_is_refused_with_the_remedy(user):
    with pytest.raises(PreconditionFailed, match="does not run as root") as caught:
        privileges.service_user(user)
    assert "server.user" in caught.value.remedy


@pytest.mark.root
@pytest.mark.root
def test_root_becomes_the_user_for_good():
    code = (
        "import os; from penguind.privileges import drop; drop('nobody')\n"
        "print(os.getresuid(), os.getresgid(), os.getgroups(), os.environ['HOME'])\n"
        "try: os.setuid(0)\n"
        "except PermissionError: print('kept')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    uids, kept = done.stdout.strip().splitlines()
    assert uids.startswith("(65534, 65534, 65534) (65534, 65534, 65534) []")
    assert kept == "kept"


@pytest.mark.root
@pytest.mark.root
def test_a_python_that_the_user_cannot_read_is_refused(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    (closed / "os.py").touch()
    script = "import os, sys; from penguind import privileges; os.__file__ = sys.argv[1]; "
    done = subprocess.run(
        [sys.executable, "-c", script + "privileges.drop('nobody')", str(closed / "os.py")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "PreconditionFailed" in done.stderr
    assert "cannot read the Python" in done.stderr
