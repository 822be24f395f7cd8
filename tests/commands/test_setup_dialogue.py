"""penguind setup at a terminal: Enter is always an answer, and the second time nothing is asked."""

import os
import pathlib
import shutil
import stat
import subprocess
import tempfile

import pytest

from penguind.config import load_settings
from penguindome.tokens import decode_invitation
from tests.harness.server import NOBODY, Server
from tests.penguinctl.pty_capture import run_in_terminal

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pd"))
    folder.chmod(0o711)
    made = Server(folder / "s")
    made.folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(made.folder, NOBODY, NOBODY)
    yield made
    shutil.rmtree(folder)


def dialogue(server, *answers, words=()):
    """Run set-up at a terminal, type answers, and return its exit status and what was seen."""
    line = server.words("setup", "--state-dir", server.folder / "state", *words)
    typed = "".join(f"{answer}\n" for answer in answers).encode()
    return run_in_terminal(line, typed, 100, server._environment())


def test_enter_takes_every_default(server):
    status, seen = dialogue(server, *[""] * 20)
    assert status == 0, seen
    assert "devices dial [localhost" not in seen
    for question in (
        *("Host name or address that devices dial [", "Port for devices and operators [7443]"),
        *("Port for enrollment [7444]", "Use a certificate of your own [y/N]"),
        *("Address of your MongoDB (mongodb://…), empty for a private one", "audits [60]"),
        *("collections on devices [5]", "reports of changes [1]", "Log handler", "Log level"),
        "Name of the first operator [",
    ):
        assert question in seen
    settings = load_settings(server.config)
    assert (settings.listen.main_port, settings.listen.bootstrap_port) == (7443, 7444)
    assert settings.database.embedded
    assert "check-config" not in seen
    assert "all is well" in server.run("check-config")
    before = server.config.read_bytes()
    again, seen = dialogue(server)
    assert again == 0, seen
    assert "kept as they are" in seen
    assert "Port for" not in seen
    assert server.config.read_bytes() == before


def test_answers_are_what_is_written(server):
    file = server.folder / "invitation"
    status, seen = dialogue(
        server,
        *("penguin.example", "8443", "8443", "8444", "n", "", "30", "0", "7", "2"),
        *("syslog", "warning", "daemon", "log.example", "1514", "Carol", "carol"),
        words=("--invitation-file", file),
    )
    assert status == 0, seen
    assert "The two ports must differ" in seen
    settings = load_settings(server.config)
    assert settings.server.advertised_host == "penguin.example"
    assert (settings.listen.main_port, settings.listen.bootstrap_port) == (8443, 8444)
    minutes = (settings.agents.collect_interval, settings.agents.submit_interval)
    assert [span.total_seconds() / 60 for span in minutes] == [7, 2]
    log = settings.logging
    assert (log.handler, log.level, log.syslog_facility) == ("syslog", "warning", "daemon")
    assert (log.syslog_host, log.syslog_port) == ("log.example", 1514)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert decode_invitation(file.read_text()).operator_name == "carol"


def test_end_of_input_leaves_nothing_behind(server):
    done = subprocess.run(
        server.words("setup", "--state-dir", server.folder / "state"),
        input="",
        env=server._environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd="/",
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "penguind setup --yes" in done.stderr
    assert list(server.folder.iterdir()) == []
