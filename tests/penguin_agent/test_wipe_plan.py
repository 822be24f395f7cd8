"""What a wipe would be about: people's accounts and homes, and nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguin_agent.parsers.tools import Answer
from penguin_agent.wipe.accounts import (
    Account,
    UidRange,
    choose,
    is_plain,
    parse_home_roots,
    parse_passwd,
    parse_subuids,
    parse_uid_range,
    with_subuids,
)
from penguin_agent.wipe.homes import Home, Homes
from penguin_agent.wipe.plan import Plan, Skipped, make_plan
from penguin_agent.wipe.processes import count_by_user, uids_of
from penguin_agent.wipe.telling import fitting
from penguin_agent.wipe.walk import Tally
from penguindome.errors import NotFound
from penguindome.orders.receipts import RECEIPT_LIMIT_BYTES
from penguindome.strict_json import canonical_json

PEOPLE = UidRange()
ME = os.getuid()


def no_tool(*words, **_options):
    raise NotFound(f"{words[0]} is not installed")


def named(accounts):
    return [one.name for one in accounts]


# Accounts


@given(st.text())
def test_any_passwd_file_is_read_and_never_names_root_or_nobody(text):
    chosen, _ = choose(parse_passwd(text), PEOPLE, 0)
    assert all(1000 <= one.uid <= 60_000 for one in chosen)


NAME = st.from_regex(r"[a-z_][a-z0-9_-]{0,20}", fullmatch=True)
PATH = st.text(st.sampled_from("abc/. é\t\r\x85\u2028\0"), max_size=40)


@given(NAME, st.integers(0, 2**32 - 1), PATH)
def test_a_line_of_passwd_is_read_back(name, uid, home):
    assert parse_passwd(f"{name}:x:{uid}:100:A, B:{home}:/bin/sh\n") == [Account(name, uid, home)]


@pytest.mark.parametrize(
    "line",
    [
        "+::::::",
        "+@people:x:1001:1001::/home/a:/bin/sh",
        "-mallory:x:1001:1001::/home/a:/bin/sh",
        "#alice:x:1001:1001::/home/a:/bin/sh",
        "alice:x:1001:1001::/home/a",
        "alice:x::1001::/home/a:/bin/sh",
        "alice:x:-1:1001::/home/a:/bin/sh",
        "alice:x:4294967296:1001::/home/a:/bin/sh",
        "alice:x:٣٤٥٦:1001::/home/a:/bin/sh",
        ":x:1001:1001::/home/a:/bin/sh",
        "alice:x:1001:1001:::/bin/sh:more:",
    ],
)
def test_lines_of_other_forms_are_no_accounts(line):
    assert parse_passwd(line) == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("nobody:x:65534:65534::/:/bin/sh", "nobody's or root's"),
        ("nobody:x:1001:1001::/home/a:/bin/sh", "nobody's or root's"),
        ("somebody:x:65534:1::/home/a:/bin/sh", "nobody's or root's"),
        ("sixteen:x:65535:1::/home/a:/bin/sh", "nobody's or root's"),
        ("dynamic:x:61184:1::/home/a:/bin/sh", "not within 1000 and 60000"),
        ("agent:x:1999:1::/home/a:/bin/sh", "agent's own"),
    ],
)
def test_who_is_never_wiped_and_told_why(line, why):
    chosen, skipped = choose(parse_passwd(line), PEOPLE, 1999)
    assert chosen == []
    ((_, reason),) = skipped
    assert why in reason


def test_root_and_the_systems_accounts_are_not_even_mentioned():
    lines = "root:x:0:0::/root:/bin/sh\ntoor:x:0:0::/root:/bin/sh\nwww:x:33:33::/var/www:/bin/sh\n"
    assert choose(parse_passwd(lines), PEOPLE, 0) == ([], [])


def test_of_two_accounts_with_one_name_the_first_counts_as_for_the_system():
    lines = "alice:x:500:1::/srv/alice:/bin/sh\nalice:x:1001:1::/home/alice:/bin/sh\n"
    assert choose(parse_passwd(lines), PEOPLE, 0) == ([], [])


@given(st.text())
def test_any_login_defs_gives_a_range_far_from_root(text):
    found = parse_uid_range(text)
    assert 100 <= found.least <= found.most


@given(st.integers(100, 2**31), st.integers(0, 2**31))
def test_login_defs_is_read_back(least, more):
    text = f"# UID_MIN 5\nUID_MIN\t\t{least}\nSYS_UID_MIN 101\n  UID_MAX {least + more} # most\n"
    assert parse_uid_range(text) == UidRange(least, least + more)


@pytest.mark.parametrize(
    "text", ["", "UID_MIN 0", "UID_MIN 99", "UID_MIN -5", "UID_MIN abc", "UID_MIN 70000"]
)
def test_a_range_that_makes_no_sense_is_the_default(text):
    assert parse_uid_range(text) == UidRange(1000, 60_000)


def test_roots_of_homes_come_from_useradd_and_adduser():
    roots, wrong = parse_home_roots('HOME="/srv/home"\n', "DHOME=/data/people\n")
    assert roots == ["/home", "/srv/home", "/data/people"]
    assert wrong == []


@pytest.mark.parametrize(
    "path",
    ["/", "//", "/etc", "/usr/home", "/root", "/var", "/home/..", "/home/../etc", "home", "/a//b"],
)
def test_roots_that_would_hold_the_system_are_refused(path):
    assert parse_home_roots(f"HOME={path}\n", "") == (["/home"], [path])


@given(st.text())
def test_any_settings_give_plain_roots(text):
    roots, _ = parse_home_roots(text, text)
    assert roots[0] == "/home"
    assert all(is_plain(one) for one in roots)


@given(st.text())
def test_any_subuid_file_is_read(text):
    assert all(isinstance(span, range) for _, span in parse_subuids(text))


def test_uids_of_containers_belong_to_their_account_unless_they_are_somebody_elses():
    alice = Account("alice", 1001, "/home/alice")
    lines = "alice:100000:65536\n1001:300000:10\nbob:200000:10\nalice:0:65536\nalice:500:10\n"
    spans = [span for span, _ in with_subuids([alice], parse_subuids(lines))]
    assert spans == [range(1001, 1002), range(100_000, 165_536), range(300_000, 300_010)]


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
    plan = Plan("lock", PEOPLE, ("/home",), accounts, homes, processes, [], (), skipped)
    found = fitting(lambda limit: {"plan": plan.to_json(limit)})
    assert len(canonical_json(found)) < RECEIPT_LIMIT_BYTES
    assert found["plan"]["homes_in_all"] == 5000
    assert re.fullmatch(r"/home/\?0/home.*", found["plan"]["homes"][0]["path"])
