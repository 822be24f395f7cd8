"""Whose accounts a wipe is about: people's, and nobody else's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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

PEOPLE = UidRange()


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
