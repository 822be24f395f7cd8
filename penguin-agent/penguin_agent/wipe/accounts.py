"""Tell whose accounts a wipe is about: those of people, never the system's and never nobody.

Pure: it reads the texts of files. A line that is not in its file's form names no account.
Source: passwd(5), login.defs(5), useradd(8), subuid(5), shadow 4.13; adduser.conf(5), Debian 12.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

DEFAULT_UIDS = (1000, 60_000)
DEFAULT_HOME_ROOT = "/home"
# "Nobody", whatever its name is; the second is what 16 bits made of it.
NOBODIES = frozenset({65_534, 65_535})
_NOBODY_NAMES = frozenset({"nobody", "nfsnobody", "root"})
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,8}|[0-9]{1,10}")
# Whatever a settings file says, no homes are looked for in these.
_SYSTEM = ("bin", "boot", "dev", "efi", "etc", "lib", "lib32", "lib64", "libx32", "nix")
_SYSTEM_TREES = frozenset({*_SYSTEM, "proc", "root", "run", "sbin", "sys", "usr"})
_NEVER = frozenset({"/", "/var"})


@dataclass(frozen=True, slots=True)
class Account:
    """One account; `local` tells whether it stands in /etc/passwd, so that it can be deleted."""

    name: str
    uid: int
    home: str
    local: bool = True


@dataclass(frozen=True, slots=True)
class UidRange:
    """The uids of people, both ends included."""

    least: int = DEFAULT_UIDS[0]
    most: int = DEFAULT_UIDS[1]


def parse_passwd(text: str, *, local: bool = True) -> list[Account]:
    """Return the accounts of a passwd file or of `getent passwd`."""
    found = []
    for line in text.split("\n"):
        words = line.split(":")
        good = len(words) == 7 and words[0] and words[0][0] not in "+-#" and _is_uid(words[2])
        if good:
            found.append(Account(words[0], int(words[2]), words[5], local))
    return found


def parse_uid_range(login_defs: str) -> UidRange:
    """Return UID_MIN and UID_MAX; what is missing or makes no sense is the default."""
    found = _settings(login_defs, r"\s+")
    least = _number(found.get("UID_MIN", ""), DEFAULT_UIDS[0])
    most = _number(found.get("UID_MAX", ""), DEFAULT_UIDS[1])
    # Below 100 no system gives uids to people: a file that says so is wrong.
    return UidRange(least, most) if 100 <= least <= most else UidRange()


def parse_home_roots(useradd: str, adduser: str) -> tuple[list[str], list[str]]:
    """Return the folders in which homes are looked for, and those that settings name wrongly.

    Args:
        useradd: /etc/default/useradd, whose HOME counts.
        adduser: /etc/adduser.conf, whose DHOME counts.
    """
    named = [_settings(useradd, "=").get("HOME", ""), _settings(adduser, "=").get("DHOME", "")]
    roots, wrong = [DEFAULT_HOME_ROOT], []
    for path in filter(None, named):
        if not is_plain(path) or path in _NEVER or path.split("/")[1] in _SYSTEM_TREES:
            wrong.append(path)
        elif path not in roots:
            roots.append(path)
    return roots, wrong


def parse_subuids(text: str) -> list[tuple[str, range]]:
    """Return the uids that accounts may use in containers, by the account's name or uid."""
    found = []
    for line in text.splitlines():
        words = line.split(":")
        if len(words) == 3 and words[0] and _is_uid(words[1]) and _is_uid(words[2]):
            found.append((words[0], range(int(words[1]), int(words[1]) + int(words[2]))))
    return found


def choose(
    accounts: list[Account], uids: UidRange, own_uid: int
) -> tuple[list[Account], list[tuple[Account, str]]]:
    """Return the accounts that are wiped, and those that people might expect, with why not.

    Args:
        accounts: All there are; of two with one name the first counts, as for the system.
        uids: Whose uids are people's.
        own_uid: The agent's, which is never wiped.
    """
    chosen: list[Account] = []
    skipped: list[tuple[Account, str]] = []
    names: set[str] = set()
    for account in accounts:
        if account.name in names:
            continue
        names.add(account.name)
        why = _why_not(account, uids, own_uid)
        if not why:
            chosen.append(account)
        elif account.uid >= uids.least:
            skipped.append((account, why))
    return chosen, skipped


def with_subuids(
    accounts: list[Account], subuids: list[tuple[str, range]]
) -> list[tuple[range, Account]]:
    """Return which uids are whose: the accounts' own, and those of their containers."""
    found = [(range(one.uid, one.uid + 1), one) for one in accounts]
    for key, span in subuids:
        # A range that reaches below people's would take the system's processes along.
        if span.start > DEFAULT_UIDS[1]:
            found += [(span, one) for one in accounts if key in (one.name, str(one.uid))]
    return found


def is_plain(path: str) -> bool:
    """Tell whether a path is absolute and has no part that leads elsewhere."""
    parts = path.split("/")
    return (
        path.startswith("/")
        and path != "/"
        and not {"", ".", ".."} & set(parts[1:])
        and "\0" not in path
    )


def _why_not(account: Account, uids: UidRange, own_uid: int) -> str:
    if account.uid == 0 or account.name in _NOBODY_NAMES or account.uid in NOBODIES:
        return "is nobody's or root's"
    if account.uid == own_uid:
        return "is the agent's own"
    if not uids.least <= account.uid <= uids.most:
        return f"its uid is not within {uids.least} and {uids.most}"
    return ""


def _settings(text: str, separator: str) -> dict[str, str]:
    """Return the settings of a file of lines; of two the last counts."""
    found = {}
    for line in text.splitlines():
        words = re.split(separator, line.strip(), maxsplit=1)
        if len(words) == 2 and not words[0].startswith("#"):
            found[words[0].strip()] = words[1].split("#")[0].strip().strip("\"'")
    return found


def _number(word: str, default: int) -> int:
    # A leading 0 would mean octal; nobody writes uids so, and 01000 would then be 512.
    return int(word, 0 if word[:2].lower() == "0x" else 10) if _NUMBER.fullmatch(word) else default


def _is_uid(word: str) -> bool:
    return word.isascii() and word.isdigit() and int(word[:12]) < 2**32
