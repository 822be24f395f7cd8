"""What goes wrong first with remote shells, and what operators are told then."""

import subprocess

import pytest

from tests.harness.fleet import Fleet
from tests.harness.process import wait_until
from tests.stories.shells import ended, env_of, known_device_of, run, shell_words

pytestmark = [pytest.mark.root, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def fleet():
    with Fleet() as running:
        yield running


@pytest.fixture(scope="module")
def device(fleet):
    return known_device_of(fleet).device_id()


def test_a_key_that_nothing_can_be_sealed_to(fleet, device):
    # Binary, as far as its first byte tells.
    path = fleet.folder / "no.gpg"
    path.write_bytes(b"\x99no key")
    said = run(fleet.alice, device, "--auditor-key", path, "--", "true").stderr.decode()
    assert "the recording cannot be sealed to the auditors' keys" in said
    session = fleet.alice.json("session", "list", "--limit", "1")["sessions"][0]
    assert "\n" not in session["ended_reason"]
    assert "did not record" in fleet.alice.run("session", "verify", session["session_id"], status=3)


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--idle", "3s"), 2, "--idle is from 10s to 8h"),
        (("--longest", "25h"), 2, "--longest is from 10s to 24h"),
        (("--idle", "soon"), 2, "is no duration"),
        (("--escape", "xx"), 2, "one character"),
        (("--escape", ""), 2, "one character"),
        (("--recording", "never"), 2, "is not one of"),
        (("--auditor-key", "/etc/passwd"), 2, "without --armor"),
        (("--auditor-key", "/dev/null"), 2, "regular|without --armor|no OpenPGP"),
        (("--auditor-key", "/nonexistent"), 2, "does not exist"),
        (("--moderated",), 255, "takes one signature"),
        (("--user", "nobody-of-this-name"), 127, "there is no account"),
    ],
)
def test_options_that_cannot_be(fleet, device, options, status, said):
    done = run(fleet.alice, device, *options, "--", "true")
    told = done.stderr.decode()
    assert (done.returncode, done.stdout) == (status, b""), told
    assert any(one in told for one in said.split("|")), told
    assert "Traceback" not in told


def test_a_device_that_is_none_and_a_server_that_is_away(fleet, device):
    done = run(fleet.alice, "nohost", "--", "true")
    assert (done.returncode, b"no such device" in done.stderr) == (255, True)
    words = shell_words(device, "--", "true")
    words[1:1] = ["--server", "127.0.0.1:1"]
    done = subprocess.run(
        words, capture_output=True, check=False, timeout=60, env=env_of(fleet.alice)
    )
    assert (done.returncode, b"cannot be reached" in done.stderr) == (255, True)


def test_who_may_not_open_sessions_hears_so(fleet, device):
    viewer = fleet.operator("eve", fleet.invite("eve", "--role", "viewer"))
    for words in (("shell", device, "--", "true"), ("cp", f"{device}:/etc/hostname", "/tmp/x")):
        done = viewer.try_run(*words)
        assert done.returncode in {255, 4}, done
        assert "has not the role shell in the trust document" in done.stderr, done
    assert ended(fleet.alice, device)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, b"24 80 dumb"),
        ({"TERM": "xterm-256color"}, b"24 80 xterm-256color"),
        ({"TERM": "no; word", "COLUMNS": "99999", "LINES": "99999"}, b"1000 1000 dumb"),
        ({"TERM": "vt100", "COLUMNS": "0", "LINES": "0"}, b"24 80 vt100"),
    ],
)
def test_a_terminal_far_away_needs_none_here(fleet, device, environment, expected):
    done = subprocess.run(
        shell_words(device, "-t", "--", "echo $(stty size) $TERM"),
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60,
        env=env_of(fleet.alice, **environment),
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, expected + b"\r\n", b"")


def test_a_session_that_is_none(fleet, device):
    fleet.alice.run("run", device, "--", "true")
    ids = [one["order_id"] for one in fleet.alice.json("order", "list")["orders"]]
    for wanted, why in (("nosuch", "no such session"), (ids[0], "this order is no session")):
        for verb in ("show", "verify", "play", "kill"):
            said = fleet.alice.run("session", verb, wanted, status=3)
            assert (why in said, "session list" in said) == (True, True), said


def newest(fleet):
    return fleet.alice.json("session", "list", "--limit", "1")["sessions"][0]


def test_a_session_that_was_not_recorded_is_no_tampering(fleet, device):
    assert run(fleet.alice, device, "--recording", "off", "--", "echo x").stdout == b"x\n"
    session = newest(fleet)["session_id"]
    wait_until(lambda: newest(fleet)["ended_time"], 10, newest(fleet))
    for verb in ("verify", "play", "export"):
        said = fleet.alice.run("session", verb, session, status=3)
        assert "the device did not record this session" in said


def test_a_session_that_goes_on_is_verified_as_far_as_it_is(fleet, device):
    words = shell_words(device, "-T", "--", "echo begun; cat")
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env_of(fleet.alice), cwd="/"
    ) as process:
        assert process.stdout.readline() == b"begun\n"
        session = newest(fleet)["session_id"]
        wait_until(lambda: fleet.alice.json("session", "show", session)["pieces"], 20, "none")
        said = fleet.alice.run("session", "verify", session, status=6)
        assert "the session goes on: 2 lines are good" in said
        process.stdin.close()
        process.wait(20)
    wait_until(lambda: fleet.alice.json("session", "show", session)["complete"], 30, "no end")
    assert "Whole and unchanged" in fleet.alice.run("session", "verify", session)
