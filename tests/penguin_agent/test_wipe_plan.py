"""What a wipe would do: homes that qualify, processes, and a plan that fits into a receipt."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguin_agent.parsers.tools import Answer
from penguin_agent.wipe.accounts import Account, UidRange
from penguin_agent.wipe.homes import Home, Homes
from penguin_agent.wipe.levels import Wipe
from penguin_agent.wipe.machine import Machine
from penguin_agent.wipe.plan import Plan, Skipped, make_plan
from penguin_agent.wipe.processes import count_by_user, uids_of
from penguin_agent.wipe.telling import fitting
from penguin_agent.wipe.volumes import Volumes
from penguin_agent.wipe.walk import Tally
from penguindome.errors import NotFound, PreconditionFailed
from penguindome.orders.bodies import WipeBody
from penguindome.orders.kinds import KINDS
from penguindome.orders.opening import Opened
from penguindome.orders.receipts import RECEIPT_LIMIT_BYTES
from penguindome.payload import read_payload
from penguindome.strict_json import canonical_json
from tests.harness.doomed import DEVICE_ID

PEOPLE = UidRange()
ME = os.getuid()


def no_tool(*words, **_options):
    raise NotFound(f"{words[0]} is not installed")


def named(accounts):
    return [one.name for one in accounts]


# Homes


@pytest.fixture
def root(tmp_path):
    """Return the root of a tree with one home, /home/me."""
    (tmp_path / "home/me/folder").mkdir(parents=True)
    (tmp_path / "home/me/folder/file").write_bytes(b"12345")
    (tmp_path / "etc").mkdir()
    return tmp_path


def judged(root, path, uid=ME, roots=("/home",)):
    return Homes(root, list(roots)).judge(Account("me", uid, path))


def test_a_home_that_qualifies_is_measured(root):
    home = judged(root, "/home/me")
    assert isinstance(home, Home)
    assert (home.path, home.is_mount) == ("/home/me", False)
    assert (home.tally.files, home.tally.folders, home.tally.size_bytes) == (1, 1, 5)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "",
        "//",
        "/home",
        "/home/",
        "/etc",
        "/home/../etc",
        "/home/me/..",
        "/home//me",
        "home/me",
    ],
)
def test_what_is_not_beneath_a_root_of_homes_is_not_touched(root, path):
    assert "not beneath /home" in judged(root, path)


def test_root_as_a_home_is_refused_even_if_settings_called_it_a_place_of_homes(root):
    assert "not beneath" in judged(root, "/", roots=("/", ""))


def test_a_home_that_is_a_link_is_not_touched(root):
    (root / "home/link").symlink_to("me")
    assert "a link is in its path" in judged(root, "/home/link")


def test_a_link_anywhere_in_the_path_is_not_followed(root):
    (root / "real/me").mkdir(parents=True)
    (root / "home/inner").symlink_to(root / "real")
    assert "a link is in its path" in judged(root, "/home/inner/me")
    (root / "homes").symlink_to("home")
    assert "a link is in its path" in judged(root, "/homes/me", roots=("/homes",))


def test_a_file_or_nothing_is_no_home(root):
    (root / "home/file").write_bytes(b"")
    assert "no folder" in judged(root, "/home/file")
    assert judged(root, "/home/nothing") == "it is not there"


def test_somebody_elses_folder_is_not_touched(root):
    assert judged(root, "/home/me", uid=ME + 1) == f"it belongs to uid {ME}"


@pytest.mark.parametrize("kind", ["nfs4", "cifs", "fuse.sshfs", "9p", "autofs"])
def test_another_machines_disk_is_not_touched(root, kind):
    (root / "proc/self").mkdir(parents=True)
    line = f"36 35 0:50 / /home rw shared:1 - {kind} server:/home rw\n"
    (root / "proc/self/mountinfo").write_text(line)
    assert judged(root, "/home/me") == f"its file system is not this machine's ({kind})"


# Processes


def status(uids, state="S (sleeping)"):
    return f"Name:\ta\nState:\t{state}\nUid:\t{uids}\n"


@given(st.text())
def test_any_status_is_read(text):
    assert all(isinstance(uid, int) for uid in uids_of(text))


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (status("1001\t1001\t1001\t1001"), True),
        (status("1001\t0\t0\t0"), True),
        (status("33\t1001\t33\t33"), True),
        (status("100005\t100005\t100005\t100005"), True),
        (status("0\t1001\t0\t1001"), False),
        (status("0\t0\t0\t0"), False),
        (status("1002\t1002\t1002\t1002"), False),
        (status("1001\t1001\t1001\t1001", "Z (zombie)"), False),
        ("", False),
    ],
)
def test_whose_process_it_is(tmp_path, text, counts):
    (tmp_path / "17").mkdir()
    (tmp_path / "17/status").write_text(text)
    (tmp_path / "self").mkdir()
    alice = Account("alice", 1001, "/home/alice")
    owners = [(range(1001, 1002), alice), (range(100_000, 100_010), alice)]
    assert count_by_user(owners, tmp_path) == ({"alice": 1} if counts else {})


# The plan


def test_a_tree_without_anything_gives_an_empty_plan(tmp_path):
    plan = make_plan(tmp_path, "crypto-erase", no_tool)
    assert (plan.accounts, plan.homes, plan.volumes, plan.skipped) == ((), (), (), ())


def test_a_plan_asks_other_sources_of_accounts_on_the_real_root_only(root):
    asked = []

    def run(*words, **_options):
        asked.append(words)
        return Answer(1, "")

    make_plan(root, "lock", run)
    assert asked == []
    make_plan(Path("/"), "lock", run)
    assert asked == [("getent", "passwd")]


def test_what_lies_beside_homes_is_told(root):
    (root / "home/lost+found").mkdir()
    plan = make_plan(root, "erase-homes", no_tool)
    told = {one.what for one in plan.skipped}
    assert told == {"/home/lost+found", "/home/me"}


def test_lock_looks_at_no_home(root):
    (root / "etc/passwd").write_text("me:x:1001:1::/home/me:/bin/sh\n")
    plan = make_plan(root, "lock", no_tool, own_uid=0)
    assert named(plan.accounts) == ["me"]
    assert (plan.homes, plan.volumes) == ((), ())


def test_a_plan_of_thousands_still_fits_into_a_receipt():
    tally = Tally(1, 1, 1, left=9, reasons=[("n" * 400, "w" * 400)] * 20)
    accounts = tuple(Account("a" * 300, 1000 + n, "/home/\udcff") for n in range(5000))
    homes = tuple(Home(f"/home/\udcff{n}" * 20, "a", 1, n, False, tally) for n in range(5000))
    skipped = tuple(Skipped("s" * 400, "w" * 400) for _ in range(5000))
    processes = {f"{'a' * 300}{n}": 1 for n in range(5000)}
    plan = Plan(Path("/"), "lock", PEOPLE, ("/home",), accounts, homes, processes, [], (), skipped)
    found = fitting(lambda limit: {"plan": plan.to_json(limit)})
    assert len(canonical_json(found)) < RECEIPT_LIMIT_BYTES
    assert found["plan"]["homes_in_all"] == 5000
    assert re.fullmatch(r"/home/\?0/home.*", found["plan"]["homes"][0]["path"])


# The warrant


@pytest.mark.parametrize(
    ("kind", "planned", "root"),
    [
        ("wipe-plan", "lock", "/"),
        ("wipe", "erase-homes", "/"),
        ("wipe", "lock", "/nowhere"),
        ("command", "lock", "/"),
    ],
)
def test_nothing_but_the_order_for_it_carries_a_plan_out(fleet, kind, planned, root):
    body = WipeBody({DEVICE_ID: "penguin"}, "lock", f"{DEVICE_ID} penguin")
    payload = read_payload(fleet.order(DEVICE_ID, "wipe", body=body.to_json()))
    warrant = Opened(KINDS[kind], payload, body, frozenset())
    plan = replace(make_plan(Path("/nowhere"), planned, no_tool), root=Path(root))
    with pytest.raises(PreconditionFailed, match="no signed order"):
        Wipe(warrant, plan, Machine(no_tool), Volumes(plan.root, no_tool), [].append)


def test_an_order_that_lacks_a_signature_carries_nothing_out(fleet, tmp_path):
    body = WipeBody({DEVICE_ID: "penguin"}, "lock", f"{DEVICE_ID} penguin")
    payload = read_payload(fleet.order(DEVICE_ID, "wipe", body=body.to_json()))
    plan = replace(make_plan(tmp_path, "lock", no_tool), root=Path("/"))
    parts = (plan, Machine(no_tool), Volumes(tmp_path, no_tool), [].append)
    Wipe(Opened(KINDS["wipe"], payload, body, frozenset()), *parts)
    with pytest.raises(PreconditionFailed, match="no signed order"):
        Wipe(Opened(KINDS["wipe"], payload, body, frozenset(), missing=1), *parts)
