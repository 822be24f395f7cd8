"""Commands and scripts run as they were signed, tell what they print, and leave nothing behind."""

import contextlib
import os
import pwd
import stat
from pathlib import Path

import pytest

from penguin_agent.orders.launch import account_of, check_may_become
from penguindome.errors import Forbidden
from tests.penguin_agent.order_device import Device, until


@pytest.fixture
def device(folder, fleet):
    return Device(folder, fleet)


def alive(mark: str) -> list[str]:
    """Return the processes that have a word in their command line."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in words and int(path.parent.name) != os.getpid():
            found.append(path.parent.name)
    return found


def test_a_command_succeeds_and_tells_what_it_printed(device):
    async def story(device):
        envelope = device.command("/bin/sh", "-c", "echo out; echo err >&2")
        receipt = await device.done(envelope)
        assert (receipt.state, receipt.exit_code) == ("succeeded", 0)
        order_id = receipt.order_id
        assert device.post.states(order_id) == ["accepted", "running", "succeeded"]
        await until(lambda: device.printed(order_id) and device.printed(order_id, "stderr"))
        assert device.printed(order_id) == b"out\n"
        assert device.printed(order_id, "stderr") == b"err\n"
        assert (receipt.stdout_bytes, receipt.stderr_bytes) == (4, 4)

    device.run(story)


def test_output_comes_while_the_program_runs(device):
    async def story(device):
        order_id = device.put(device.command("/bin/sh", "-c", "echo first; sleep 60"))
        await until(lambda: device.printed(order_id) == b"first\n")
        assert device.post.last(order_id).state == "running"
        await device.done(device.cancel(order_id))

    device.run(story)


def test_what_the_server_has_is_not_kept_here(device):
    async def story(device):
        receipt = await device.done(device.command("echo", "gone"))
        await until(lambda: device.printed(receipt.order_id))
        folder = device.folder / "orders" / receipt.order_id
        await until(lambda: not folder.exists())

    device.run(story)


@pytest.mark.parametrize(
    ("script", "code", "reason"),
    [
        ("exit 3", 3, "exit code 3"),
        ("kill -9 $$", 137, "SIGKILL"),
        ("kill -TERM $$", 143, "SIGTERM"),
    ],
)
def test_how_a_program_failed_is_told(device, script, code, reason):
    async def story(device):
        receipt = await device.done(device.command("/bin/sh", "-c", script))
        assert (receipt.state, receipt.exit_code) == ("failed", code)
        assert reason in receipt.reason

    device.run(story)


def test_a_program_that_is_not_there_is_told(device):
    async def story(device):
        receipt = await device.done(device.command("no-such-program"))
        assert (receipt.state, receipt.code, receipt.exit_code) == ("failed", "not-started", None)
        receipt = await device.done(device.command("true", body={"user": "nobody-at-all"}))
        assert (receipt.state, receipt.code) == ("failed", "no-such-user")

    device.run(story)


def test_the_environment_is_made_from_nothing(device, monkeypatch):
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("SECRET", "x")

    async def story(device):
        receipt = await device.done(device.command("env"))
        await until(lambda: device.printed(receipt.order_id))
        lines = device.printed(receipt.order_id).decode().splitlines()
        names = {line.partition("=")[0] for line in lines}
        assert names == {
            "PATH",
            "HOME",
            "USER",
            "LOGNAME",
            "SHELL",
            "LANG",
            "PD_ORDER_ID",
            "PD_STATE_DIR",
        }
        assert f"PD_ORDER_ID={receipt.order_id}" in lines

    device.run(story)


def test_a_program_has_its_own_session_no_input_and_its_home(device):
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir)
    begins = home if home.is_dir() else Path("/")
    user = pwd.getpwuid(os.geteuid()).pw_name
    # ls has its own descriptor of the folder, beside the three that it was given.
    script = "cat; pwd; umask; ps -o sid= -p $$; echo $$; exec ls /proc/self/fd"

    async def story(device):
        receipt = await device.done(device.command("/bin/sh", "-c", script, body={"user": user}))
        await until(lambda: device.printed(receipt.order_id))
        where, umask, session, pid, *descriptors = device.printed(receipt.order_id).decode().split()
        assert Path(where) == begins
        assert umask == "0022"
        assert session == pid
        assert descriptors == ["0", "1", "2", "3"]

    device.run(story)


@pytest.mark.root
def test_a_command_runs_as_the_user_that_was_signed(device):
    async def story(device):
        receipt = await device.done(device.command("id", body={"user": "nobody"}))
        await until(lambda: device.printed(receipt.order_id))
        groups = os.getgrouplist("nobody", pwd.getpwnam("nobody").pw_gid)
        printed = device.printed(receipt.order_id).decode()
        assert printed.startswith("uid=65534(nobody)")
        assert printed.count("(") == 2 + len(groups)

    device.run(story)


@contextlib.contextmanager
def unprivileged(uid):
    """Have this process be nobody in particular meanwhile, as root can."""
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.root
@pytest.mark.parametrize("user", ["root", "daemon"])
def test_an_agent_that_is_not_root_runs_nothing_as_another_user(user):
    nobody = pwd.getpwnam("nobody").pw_uid
    with unprivileged(nobody), pytest.raises(Forbidden) as raised:
        check_may_become(account_of(user))
    assert raised.value.code == "not-root"
    assert f"cannot run anything as {user}" in raised.value.reason
    assert "--user nobody" in raised.value.remedy
    with unprivileged(nobody):
        check_may_become(account_of("nobody"))
    check_may_become(account_of(user))


@pytest.mark.root
def test_a_script_runs_from_sealed_memory_as_another_user(device):
    body = {
        "script": b"#!/bin/sh\necho $0 $@; id -un; echo x > $0 || echo sealed\n",
        "user": "nobody",
        "argv": ("a b", "c"),
    }

    async def story(device):
        receipt = await device.done(device.command(body=body))
        assert receipt.state == "succeeded"
        await until(lambda: device.printed(receipt.order_id))
        first, *rest = device.printed(receipt.order_id).decode().splitlines()
        assert first.startswith("/proc/self/fd/")
        assert first.endswith(" a b c")
        assert rest == ["nobody", "sealed"]

    device.run(story)


def test_output_beyond_the_limit_is_dropped_and_the_program_goes_on(device):
    script = "head -c 3000000 /dev/zero; echo done >&2"
    body = {"output_limit_bytes": 1_000_000}

    async def story(device):
        receipt = await device.done(device.command("/bin/sh", "-c", script, body=body))
        assert (receipt.state, receipt.truncated) == ("succeeded", True)
        assert receipt.stdout_bytes == 1_000_000
        await until(lambda: len(device.printed(receipt.order_id)) == 1_000_000)
        await until(lambda: device.printed(receipt.order_id, "stderr") == b"done\n")

    device.run(story)


def test_output_that_is_just_at_the_limit_is_whole(device):
    body = {"output_limit_bytes": 1000}

    async def story(device):
        receipt = await device.done(device.command("head", "-c", "1000", "/dev/zero", body=body))
        assert (receipt.stdout_bytes, receipt.truncated) == (1000, False)

    device.run(story)


def test_a_program_that_runs_too_long_is_ended_with_all_that_it_started(device):
    # Ignores TERM, and has a daemon that left its session, one that emptied its environment too.
    script = (
        "trap '' TERM; setsid sleep 98761 & env -i setsid sleep 98762 &"
        " sleep 1; echo begun; sleep 98763; sleep 98764"
    )
    body = {"timeout_seconds": 2}

    async def story(device):
        receipt = await device.done(device.command("/bin/sh", "-c", script, body=body))
        assert (receipt.state, receipt.code, receipt.exit_code) == ("timed-out", "timed-out", None)
        await until(lambda: device.printed(receipt.order_id) == b"begun\n")
        assert not alive("9876")

    device.run(story)


def test_what_a_command_leaves_running_ends_with_it(device):
    async def story(device):
        script = "setsid sleep 98771 & sleep 0.7; exit 0"
        receipt = await device.done(device.command("/bin/sh", "-c", script))
        assert receipt.state == "succeeded"
        assert not alive("9877")

    device.run(story)


def test_output_files_are_root_only(device):
    async def story(device):
        order_id = device.put(device.command("/bin/sh", "-c", "echo x; sleep 60"))
        await until(lambda: device.printed(order_id))
        path = device.folder / "orders" / order_id / "stdout"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.parents[1].stat().st_mode) == 0o700
        await device.done(device.cancel(order_id))

    device.run(story)


def test_an_agent_that_ends_takes_its_commands_along(device):
    async def story(device):
        order_id = device.put(device.command("/bin/sh", "-c", "echo x; sleep 98781"))
        await until(lambda: device.printed(order_id))
        return order_id

    order_id = device.run(story)
    assert not alive("98781")

    async def after(device):
        receipt = await device.ended(order_id)
        assert receipt.state == "interrupted"

    device.run(after)
