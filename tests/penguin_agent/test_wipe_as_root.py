"""Wipes of machines that may be destroyed: what the dry run listed goes, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.harness.disposable import HOSTNAME
from tests.harness.doomed import PEOPLE, Doomed, changed, dry_run, wiped

pytestmark = pytest.mark.root
# mallory's home is /, carol's a link, dave's is a folder of root's, erin's is on a mount between.
ODD_PEOPLE = """
useradd --uid 1003 --home-dir /home/carol carol
mkdir -p /srv/carol && echo kept > /srv/carol/file && chown -R carol: /srv/carol
ln -s /srv/carol /home/carol
useradd --uid 1004 --home-dir /home/dave dave
mkdir /home/dave && echo kept > /home/dave/file
useradd --uid 1005 --home-dir /home/nfs/erin erin
mkdir /home/nfs && mount -t tmpfs tmpfs /home/nfs
mkdir /home/nfs/erin && echo kept > /home/nfs/erin/file && chown -R erin: /home/nfs/erin
useradd --uid 1006 --home-dir / mallory
useradd --uid 500 --home-dir /home/service service
mkdir /home/service && echo kept > /home/service/file && chown -R service: /home/service
useradd --uid 61000 --home-dir /home/dynamic dynamic
mkdir /home/dynamic && chown dynamic: /home/dynamic
useradd --uid 1007 --home-dir /home/mounted mounted
mkdir /home/mounted && mount -t tmpfs tmpfs /home/mounted
echo secret > /home/mounted/file && chown -R mounted: /home/mounted
mkdir /home/lost+found
"""
MOUNTS_INSIDE = """
mkdir -p /home/alice/stick /home/alice/bound /srv/shared
mount -t tmpfs tmpfs /home/alice/stick && echo kept > /home/alice/stick/file
echo kept > /srv/shared/file && mount --bind /srv/shared /home/alice/bound
echo kept > /srv/one && touch /home/alice/one && mount --bind /srv/one /home/alice/one
"""
SLEEP = "setsid --fork setpriv --reuid {} --clear-groups {} </dev/null >/dev/null 2>&1"


@pytest.fixture
def machine(fleet):
    with Doomed(fleet) as one:
        one.shell(PEOPLE)
        yield one


def beneath(listing, *homes):
    return {path for path in listing if path.startswith(tuple(f"{home}/" for home in homes))}


def names(machine):
    return {line.split(":")[0] for line in machine.path("/etc/passwd").read_text().splitlines()}


def test_a_dry_run_changes_nothing(machine):
    before = machine.listing()
    dry_run(machine, "crypto-erase")
    gone, other = changed(before, machine.listing())
    assert (gone, other) == (set(), set())


def test_only_what_the_dry_run_listed_goes(machine):
    machine.shell(ODD_PEOPLE)
    plan = dry_run(machine)
    assert {one["path"] for one in plan["homes"]} == {"/home/alice", "/home/bob", "/home/mounted"}
    skipped = {one["what"]: one["why"] for one in plan["skipped"]}
    assert "a link is in its path" in skipped["/home/carol of carol"]
    assert skipped["/home/dave of dave"] == "it belongs to uid 0"
    assert "on another mount" in skipped["/home/nfs/erin of erin"]
    assert "not beneath /home" in skipped["/ of mallory"]
    assert "not within" in skipped["account dynamic"]
    assert "nobody's" in skipped["account nobody"]
    assert {"/home/service", "/home/lost+found", "/home/nfs", "/home/dynamic"} <= set(skipped)
    before = machine.listing()
    _, outcome = wiped(machine)
    assert outcome["state"] == "succeeded", outcome
    gone, other = changed(before, machine.listing())
    contents = beneath(before, "/home/alice", "/home/bob", "/home/mounted")
    assert gone == contents | {"/home/alice", "/home/bob"}
    assert other == set()
    assert outcome["details"]["plan"] == plan
    files = sum(one["files"] for one in plan["homes"])
    folders = sum(one["folders"] for one in plan["homes"])
    assert len(contents) == files + folders
    listed = {one["name"] for one in plan["accounts"]}
    assert listed == {"alice", "bob", "carol", "dave", "erin", "mallory", "mounted"}
    assert names(machine) == {"root", "daemon", "nobody", "service", "dynamic"}


def test_what_is_mounted_in_a_home_is_not_entered_and_told(machine):
    machine.shell(MOUNTS_INSIDE)
    plan = dry_run(machine)
    skipped = {one["what"]: one["why"] for one in plan["skipped"]}
    assert "mounted" in skipped["/home/alice/stick"]
    assert "mounted" in skipped["/home/alice/bound"]
    before = machine.listing()
    _, outcome = wiped(machine)
    assert outcome["state"] == "failed"
    assert outcome["code"] == "partly-done"
    (failure,) = outcome["details"]["done"]["failures"]
    assert (failure["step"], failure["what"]) == ("erase-home", "/home/alice")
    gone, _ = changed(before, machine.listing())
    kept = {"stick", "stick/file", "bound", "bound/file", "one"}
    assert beneath(before, "/home/alice") - gone == {f"/home/alice/{name}" for name in kept}
    assert machine.path("/srv/shared/file").read_text() == "kept\n"
    assert machine.path("/srv/one").read_text() == "kept\n"


def test_processes_of_users_end_and_others_do_not(machine):
    machine.shell("echo alice:200000:65536 > /etc/subuid")
    for uid in (1001, 1002, 200_005, 500, 65_534):
        machine.shell(SLEEP.format(uid, "sleep 1000"))
    machine.shell(SLEEP.format(1001, "sh -c 'trap \"\" TERM HUP; while :; do sleep 0.01; done'"))
    plan = dry_run(machine, "lock")
    assert plan["processes"]["bob"] == 1
    assert plan["processes"]["alice"] in (3, 4)
    _, outcome = wiped(machine, "lock")
    assert outcome["state"] == "succeeded", outcome
    left = machine.run("ps", "-e", "-o", "uid=,comm=").split("\n")
    sleeping = sorted(int(line.split()[0]) for line in left if line.endswith("sleep"))
    assert sleeping == [500, 65_534]


def test_a_locked_machine_loses_no_file_and_lets_nobody_in(machine):
    before = machine.listing()
    _, outcome = wiped(machine, "lock")
    assert outcome["state"] == "succeeded", outcome
    gone, other = changed(before, machine.listing())
    assert (gone, other) == (set(), set())
    lines = machine.path("/etc/shadow").read_text().splitlines()
    shadow = {line.split(":")[0]: line.split(":") for line in lines}
    for name in ("alice", "bob"):
        assert shadow[name][1].startswith("!")
        assert shadow[name][7] == "1"
    assert shadow["root"][7] == ""


VOLUME = """
truncate -s 20M /dev/sda3
echo -n secret | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 /dev/sda3 -
mkdir -p /sys/devices/pci0/sda/sda3/holders /sys/class/block
echo 0 > /sys/devices/pci0/sda/removable
touch /sys/devices/pci0/sda/sda3/partition
ln -s /sys/devices/pci0/sda/sda3 /sys/class/block/sda3
"""
OPEN = "echo -n secret | cryptsetup open --test-passphrase --key-file - /dev/sda3"


def test_keys_go_before_homes_and_never_open_a_volume_again(machine):
    machine.shell(VOLUME)
    machine.shell(OPEN)
    (volume,) = dry_run(machine, "crypto-erase")["volumes"]
    assert (volume["device"], volume["key_slots"]) == ("/dev/sda3", 1)
    before = machine.listing()
    told, outcome = wiped(machine, "crypto-erase")
    assert outcome["state"] == "succeeded", outcome
    steps = list(outcome["details"]["done"]["steps"].items())
    assert sorted(steps) == [
        ("delete-account", 2),
        ("end-processes", 2),
        ("erase-home", 2),
        ("erase-keys", 1),
        ("lock-account", 2),
    ]
    assert told[1]["phase"] == "planned"
    assert machine.try_run("sh", "-euc", OPEN).returncode != 0
    gone, _ = changed(before, machine.listing())
    assert "/home/alice" in gone


def test_a_machine_without_a_volume_loses_its_homes_and_says_so(machine):
    _, outcome = wiped(machine, "crypto-erase")
    assert (outcome["state"], outcome["code"]) == ("failed", "partly-done")
    assert "no LUKS volume was found" in outcome["reason"]
    assert not machine.path("/home/alice").exists()


def test_nothing_of_the_real_machine_is_within_reach(machine):
    assert machine.run("hostname").strip() == HOSTNAME
    mounts = machine.run("cut", "-d ", "-f2,4", "/proc/mounts").splitlines()
    writable = {line.split()[0] for line in mounts if line.split()[1].startswith("rw")}
    assert writable == {"/", "/proc"}
    assert machine.root.stat().st_dev != Path("/").stat().st_dev
