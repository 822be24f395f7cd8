"""Recordings of sessions: of the form that any player reads, sealed to those who may read them."""

import json
import subprocess
import tempfile

import pytest

from tests.harness.process import BIN, wait_until
from tests.stories.shells import device_of, env_of, run

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]
HOSTILE = r"printf 'a\033]0;owned\007b\033]52;c;aGk=\007\n\377\376 gr\303\274n\n'"


@pytest.fixture(scope="module")
def device(fleet):
    return device_of(fleet).device_id()


def recorded(fleet, device, *words):
    """Run a session; return its id once its recording is whole."""
    assert run(fleet.alice, device, *words).returncode == 0
    (session,) = fleet.alice.json("session", "list", "--limit", "1")["sessions"]
    show = ("session", "show", session["session_id"])
    wait_until(lambda: fleet.alice.json(*show)["complete"], 30, "the recording is not whole")
    return session["session_id"]


def penguinctl(fleet, *words, **more):
    done = subprocess.run(
        [str(BIN / "penguinctl"), *words],
        capture_output=True, check=False, timeout=60, env=env_of(fleet.alice, **more), cwd="/",
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_an_export_is_an_asciicast(fleet, device):
    session = recorded(fleet, device, "-t", "--", HOSTILE)
    first, *lines = penguinctl(fleet, "session", "export", session)[1].decode().splitlines()
    head = json.loads(first)
    assert (head["version"], type(head["width"]), type(head["height"])) == (2, int, int)
    assert set(head) <= {"version", "width", "height", "timestamp", "title", "env"}
    before = 0.0
    for line in lines:
        seconds, kind, text = json.loads(line)
        assert (isinstance(seconds, float | int), type(text)) == (True, str)
        assert kind in {"o", "r", "m"}
        assert seconds >= before
        before = seconds
    shown = penguinctl(fleet, "session", "export", session, "--text")[1]
    assert shown == b"a\x1b]0;owned\x07b\x1b]52;c;aGk=\x07\r\n\xff\xfe gr\xc3\xbcn\r\n"


def test_what_is_played_does_nothing_to_the_terminal(fleet, device):
    session = recorded(fleet, device, "-t", "--", HOSTILE)
    for words in (("play", session, "--pause", "0"), ("watch", session)):
        status, shown, _ = penguinctl(fleet, "session", *words)
        assert (status, b"ab" in shown, b"owned" in shown, b"aGk=" in shown) == (
            0,
            True,
            False,
            False,
        )
    for words in (("search", session, "n"), ("list",), ("show", session)):
        assert b"\x1b" not in penguinctl(fleet, "session", *words)[1]


def test_a_sealed_recording_is_the_auditors_alone(fleet, device):
    with tempfile.TemporaryDirectory(prefix="pd") as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--passphrase", ""]
        make = [*gpg, "--quick-generate-key", "auditor", "default", "default", "never"]
        subprocess.run(make, check=True, capture_output=True, timeout=60)
        key = fleet.folder / "auditor.gpg"
        done = subprocess.run([*gpg, "--export"], check=True, capture_output=True, timeout=60)
        key.write_bytes(done.stdout)
        session = recorded(fleet, device, "--auditor-key", key, "--", "echo secret")
        assert fleet.alice.json("session", "show", session)["sealed"] is True
        status, shown, said = penguinctl(fleet, "session", "play", session)
        assert (status, shown, b"is sealed" in said) == (6, b"", True)
        auditor = {"GNUPGHOME": home}
        status, shown, _ = penguinctl(fleet, "session", "export", session, "--text", **auditor)
        assert (status, shown) == (0, b"secret\n")
        assert penguinctl(fleet, "session", "verify", session, **auditor)[0] == 0
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, timeout=20)
