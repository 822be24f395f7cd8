"""The first errors that somebody meets who puts penguin-agent on a laptop."""

import asyncio
import subprocess
from datetime import timedelta

import pytest

from penguind.config import load_settings
from penguind.console import console_database
from penguindome.times import utc_now
from penguindome.tokens import decode_token
from tests.commands.conftest import FIREWALL
from tests.commands.refusals import as_a_user, refused
from tests.commands.wrong_clock import out_of_date

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def plugins(fleet):
    return fleet.plugins(firewall=FIREWALL)


@pytest.fixture
def device(fleet, plugins):
    """Return a device that was never enrolled."""
    return fleet.device(plugins=plugins)


def enroll(device, line):
    return device.try_run("enroll", standard_input=line + "\n")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda line: "", "no enrollment token was given"),
        (lambda line: "hello", "starts with pde1."),
        (lambda line: line[:100], "cut off"),
        (lambda line: line[:60] + ("A" if line[60] != "A" else "B") + line[61:], "mistyped"),
    ],
)
def test_token_that_is_none(alice, device, spoil, words):
    refused(enroll(device, spoil(alice.token())), 1, words)


def test_invitation_instead_of_a_token(fleet, device):
    line = fleet.server.invitation.read_text().strip()
    refused(enroll(device, line), 1, "this is an invitation", "pde1.")


def test_token_among_the_words(alice, device):
    refused(device.try_run("enroll", alice.token()), 1, "every user", "--token-file")


def test_token_file_that_others_can_read(alice, device, tmp_path):
    path = tmp_path / "token"
    path.write_text(alice.token())
    path.chmod(0o644)
    refused(device.try_run("enroll", "--token-file", path), 6, "chmod 600")
    refused(device.try_run("enroll", "--token-file", tmp_path / "none"), 1, "No such file")


def expire(fleet, line):
    """Let a token end now, since its shortest life is too long for a test."""

    async def work():
        async with console_database(load_settings(fleet.server.config)) as database:
            wanted = {"_id": decode_token(line).token_id.hex()}
            change = {"$set": {"expires_time": utc_now() - timedelta(minutes=1)}}
            assert (await database.db["tokens"].update_one(wanted, change)).modified_count == 1

    asyncio.run(work())


def test_used_and_revoked_and_expired_tokens(fleet, plugins, alice):
    late, token = alice.token(), alice.token()
    first, second = (fleet.device(plugins=plugins) for _ in range(2))
    assert enroll(first, token).returncode == 0
    refused(enroll(first, alice.token()), 6, "enrolled already", "unenroll")
    refused(enroll(second, token), 4, "used up", "penguinctl token create")
    alice.run("token", "revoke", decode_token(gone := alice.token()).token_id.hex())
    refused(enroll(second, gone), 4, "revoked", "penguinctl token create")
    expire(fleet, late)
    refused(enroll(second, late), 4, "expired", "penguinctl token create")


def test_agent_that_does_not_run(alice, device):
    done = device.try_run("status")
    assert done.returncode == 5
    assert "not enrolled" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert enroll(device, alice.token()).returncode == 0
    done = device.try_run("status")
    assert (done.returncode, "systemctl start penguin-agent" in done.stdout) == (5, True)
    assert "systemctl start" in device.try_run("issues").stderr


def test_server_that_is_not_there(fleet, alice, device):
    line = alice.token("--uses", "2")
    fleet.server.stop()
    try:
        said = refused(enroll(device, line), 5, "Connection refused", "firewall")
        assert f"127.0.0.1:{fleet.server.bootstrap_port}" in said
        refused(alice.try_run("device", "list"), 5, "Connection refused", "penguind runs")
    finally:
        fleet.server.start()
    assert enroll(device, line).returncode == 0


@pytest.mark.parametrize("days", [-20, 20])
def test_clock_that_is_wrong(fleet, alice, device, tmp_path, days):
    line, state = alice.token(), fleet.server.folder / "state"
    fleet.server.stop()
    try:
        with out_of_date(state, tmp_path, port=fleet.server.bootstrap_port, days=days):
            refused(enroll(device, line), 5, "not valid at this machine's time", "timedatectl")
        with out_of_date(state, tmp_path, port=fleet.server.main_port, days=days):
            refused(alice.try_run("device", "list"), 7, "this machine's time", "timedatectl")
    finally:
        fleet.server.start()


def test_setting_that_is_misspelt(device):
    device.config.write_text(
        device.config.read_text() + "[schedule]\ncolect_interval_minutes = 3\n"
    )
    for verb in ("status", "run", "collect", "issues"):
        refused(device.try_run(verb), 1, str(device.config), "Did you mean collect_interval")


def test_state_that_others_can_read(device):
    device.try_run("status")
    state = device.folder / "state"
    state.mkdir(exist_ok=True)
    state.chmod(0o755)
    refused(device.try_run("run"), 6, f"chmod 0700 {state}")


@pytest.mark.parametrize("verb", ["run", "enroll", "unenroll"])
def test_what_needs_root(verb):
    refused(as_a_user("penguin-agent", verb), 6, "/var/lib/penguin-agent", "sudo")


def test_disk_that_takes_no_byte(alice, device):
    line = ["prlimit", "--fsize=0", "--", *device._words("enroll")]
    done = subprocess.run(
        line,
        input=alice.token() + "\n",
        env=device._environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    refused(done, 1, "disk full", "Free some space")


@pytest.mark.root
def test_disk_that_is_full(alice, device):
    state = device.folder / "state"
    state.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "tmpfs", state]
    subprocess.run(mount, check=True, timeout=20)
    try:
        fill = subprocess.run(["dd", "if=/dev/zero", f"of={state}/fill"], check=False, timeout=20)
        assert fill.returncode
        refused(enroll(device, alice.token()), 1, "disk full", "Free some space", str(state))
        (state / "fill").unlink()
        assert enroll(device, alice.token()).returncode == 0
    finally:
        subprocess.run(["umount", state], check=True, timeout=20)
