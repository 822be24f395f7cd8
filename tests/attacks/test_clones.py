"""A copied identity is found out, and no crash makes one device look like two: real processes."""

import os
import shutil
import signal

import pytest

from tests.harness.process import wait_until
from tests.penguin_agent.test_crashes import RATCHET, SPOOL

pytestmark = pytest.mark.timeout(120)

PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"
FAILPOINTS = "\n[debug]\nfailpoints = true\n"


@pytest.fixture(scope="module")
def plugins(fleet):
    return fleet.plugins(example=PLUGIN)


def shown(fleet, device_id):
    return fleet.alice.json("device", "show", device_id)["device"]


def connected(fleet, device_id):
    wait_until(lambda: shown(fleet, device_id)["connected"], 30, "it does not connect")


def woken(agent):
    """Have an agent do now what it waits with."""
    os.kill(agent.process.pid, signal.SIGHUP)
    return True


def confirmed(database, device_id, before=b""):
    """Wait until the server knows that a value is on the device's disk; return it."""

    def base():
        found = database.records["ratchets"].find_one({"_id": device_id}) or {}
        value = bytes(found.get("base", b""))
        return value if value != before and not found["offer"] else None

    return wait_until(base, 30, "no check-in is confirmed")


def copied(fleet, laptop, plugins, *, whole):
    """Return another machine with the laptop's state, or only with its identity."""
    thief = fleet.device(plugins=plugins)
    state, stolen = laptop.folder / "state", thief.folder / "state"
    shutil.copytree(
        state if whole else state / "identity",
        stolen if whole else stolen / "identity",
        ignore=shutil.ignore_patterns("lock"),
    )
    stolen.chmod(0o700)
    return thief


@pytest.mark.parametrize("whole", [True, False], ids=["the-whole-state", "only-the-identity"])
def test_a_copied_identity_is_blocked_within_two_check_ins(fleet, database, plugins, whole):
    laptop = fleet.device(plugins=plugins, token=fleet.alice.token())
    device_id = laptop.device_id()
    connected(fleet, device_id)
    confirmed(database, device_id)
    thief = copied(fleet, laptop, plugins, whole=whole)
    thief.start()
    # At most two check-ins: the thief's, and the laptop's next one.
    if whole:
        confirmed(database, device_id, confirmed(database, device_id))
    wait_until(
        lambda: woken(laptop) and shown(fleet, device_id)["state"] == "blocked",
        60,
        "two machines go unnoticed",
    )
    found = shown(fleet, device_id)
    # All devices of this fleet have this machine's hostname, which becomes an issue after a while.
    assert set(found["open_issues"]) - {"duplicate-hostname"} == {"clone-suspected"}
    assert found["held_by"] == "server"
    assert "two machines use its identity" in found["held_reason"]
    wait_until(lambda: not shown(fleet, device_id)["connected"], 5, "a stream outlives the block")
    for one in (laptop, thief):
        wait_until(
            lambda one=one: woken(one) and "cut off" in str(one.status().get("trouble")),
            40,
            "it is not told why",
        )
    rows = fleet.alice.json("ledger", "list", "--limit", "50")["rows"]
    acts = [(row["actor"], row["action"]) for row in rows if row["target"] == device_id]
    assert acts[-1:] == [("server", "device.block")]
    thief.stop()
    fleet.alice.run("device", "unblock", device_id, "--reason", "the thief is gone")
    wait_until(lambda: woken(laptop) and shown(fleet, device_id)["connected"], 30, "it stays away")
    assert "clone-suspected" not in shown(fleet, device_id)["open_issues"]
    laptop.stop()


@pytest.mark.parametrize("point", [*RATCHET, *SPOOL])
def test_one_device_that_dies_at_any_point_is_no_clone(fleet, database, plugins, point):
    laptop = fleet.device(plugins=plugins, settings=FAILPOINTS)
    laptop.enroll(fleet.alice.token())
    device_id = laptop.device_id()
    # Once its check-ins count, then killed again and again.
    laptop.start()
    base = confirmed(database, device_id)
    laptop.stop()
    for _ in range(2):
        laptop.add_local(f"extra{_}", PLUGIN)
        laptop.start(PD_FAILPOINT=point)
        assert laptop.process.wait(30) == -signal.SIGKILL
        laptop.process = None
    laptop.start()
    confirmed(database, device_id, base)
    found = shown(fleet, device_id)
    assert (found["state"], "clone-suspected" in found["open_issues"]) == ("active", False)
    laptop.stop()
