"""Plan a wipe: exactly what would go, what would not and why; nothing is changed.

The same plan is made for a dry run and, anew, for the real one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from penguin_agent.parsers.tools import read_text
from penguin_agent.wipe.accounts import (
    Account,
    UidRange,
    choose,
    parse_home_roots,
    parse_passwd,
    parse_subuids,
    parse_uid_range,
    with_subuids,
)
from penguin_agent.wipe.homes import Home, Homes
from penguin_agent.wipe.processes import count_by_user
from penguin_agent.wipe.telling import LISTED, clean, listed, tally_json
from penguin_agent.wipe.volumes import Volume, Volumes
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from penguin_agent.parsers.tools import Run
    from penguin_agent.wipe.processes import Owners


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that people might expect to go, and why it does not."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a wipe of a level would do.

    Attributes:
        root: What was looked at; only a plan for `/` can be carried out.
        level: As in the order.
        uids: Whose uids are people's.
        home_roots: Where homes are looked for.
        accounts: Accounts that are locked (`lock`) or deleted.
        homes: Homes that are erased; none for `lock`.
        processes: How many of each account's are killed, as of now.
        owners: Which uids are whose.
        volumes: LUKS volumes whose key slots are erased; only for `crypto-erase`.
        skipped: What does not go.
    """

    root: Path
    level: str
    uids: UidRange
    home_roots: tuple[str, ...]
    accounts: tuple[Account, ...]
    homes: tuple[Home, ...]
    processes: Mapping[str, int]
    owners: Owners
    volumes: tuple[Volume, ...]
    skipped: tuple[Skipped, ...]

    def to_json(self, limit: int = LISTED) -> dict[str, Any]:
        """Return the plan as receipts have it; of long lists the beginning, with the number."""
        return {
            "level": self.level,
            "uid_min": self.uids.least,
            "uid_max": self.uids.most,
            "home_roots": [clean(path) for path in self.home_roots],
            **listed("accounts", map(_account_json, self.accounts), limit),
            **listed("homes", map(_home_json, self.homes), limit),
            "processes": {clean(name): n for name, n in sorted(self.processes.items())[:limit]},
            **listed("volumes", map(_volume_json, self.volumes), limit),
            **listed("skipped", map(_skipped_json, self.skipped), limit),
        }


def make_plan(root: Path, level: str, run: Run, *, own_uid: int | None = None) -> Plan:
    """Look at a machine and say what a wipe would do to it.

    Args:
        root: `/`, or a tree that stands for one.
        level: As in the order.
        run: Runs getent (on `/` only) and cryptsetup.
        own_uid: The agent's; None for this process's.
    """
    uids = parse_uid_range(_text(root, "etc/login.defs"))
    own = os.geteuid() if own_uid is None else own_uid
    accounts, passed = choose(_accounts(root, run), uids, own)
    roots, wrong = parse_home_roots(
        _text(root, "etc/default/useradd"), _text(root, "etc/adduser.conf")
    )
    skipped = [Skipped(f"account {one.name}", why) for one, why in passed]
    skipped += [Skipped(path, "no homes are looked for there") for path in wrong]
    owners = with_subuids(accounts, parse_subuids(_text(root, "etc/subuid")))
    homes: list[Home] = []
    if level != "lock":
        homes = _homes(Homes(root, roots), accounts, skipped)
        skipped += _leftovers(root, roots, homes)
    volumes: list[Volume] = []
    if level == "crypto-erase":
        volumes, passed_over = Volumes(root, run).find()
        skipped += [Skipped(device, why) for device, why in passed_over]
    processes = count_by_user(owners, root / "proc")
    where = (tuple(accounts), tuple(homes), processes, owners, tuple(volumes), tuple(skipped))
    return Plan(root, level, uids, tuple(roots), *where)


def _accounts(root: Path, run: Run) -> list[Account]:
    """Return the accounts of the passwd file, then those that other sources of `/` know."""
    found = parse_passwd(_text(root, "etc/passwd"))
    if str(root) == "/":
        try:
            known = {one.name for one in found}
            others = parse_passwd(run("getent", "passwd").stdout, local=False)
            found += [one for one in others if one.name not in known]
        except PenguinDomeError:
            return found
    return found


def _homes(homes: Homes, accounts: list[Account], skipped: list[Skipped]) -> list[Home]:
    found: dict[str, Home] = {}
    for account in accounts:
        if account.home in found:
            continue
        judged = homes.judge(account)
        if isinstance(judged, Home):
            found[account.home] = judged
            skipped += [
                Skipped(f"{account.home}/{path}", why) for path, why in judged.tally.reasons
            ]
        else:
            skipped.append(Skipped(f"{account.home} of {account.name}", judged))
    # A home within another one goes before it, so that each is told for itself.
    return sorted(found.values(), key=lambda home: -home.path.count("/"))


def _leftovers(root: Path, roots: list[str], homes: list[Home]) -> list[Skipped]:
    """Return what else lies beside the homes: it stays."""
    gone = {one.path for one in homes}
    found: list[Skipped] = []
    for top in roots:
        try:
            names = sorted(os.listdir(root / top.lstrip("/")))  # noqa: PTH208 -- names
        except OSError:
            continue
        found += [
            Skipped(path, "no home of an account that is wiped")
            for path in (f"{top}/{name}" for name in names)
            if path not in gone and not any(one.startswith(f"{path}/") for one in gone)
        ]
    return found


def _text(root: Path, name: str) -> str:
    return read_text(root / name) or ""


def _reason(path: str, why: str) -> str:
    return clean(f"{path}: {why}")


def _skipped_json(one: Skipped) -> dict[str, Any]:
    return {"what": clean(one.what), "why": clean(one.why)}


def _account_json(account: Account) -> dict[str, Any]:
    found: dict[str, Any] = {"name": clean(account.name), "uid": account.uid}
    return found if account.local else {**found, "elsewhere": True}


def _home_json(home: Home) -> dict[str, Any]:
    found = {"path": clean(home.path), "user": clean(home.user), **tally_json(home.tally)}
    return {**found, "stays_empty": True} if home.is_mount else found


def _volume_json(volume: Volume) -> dict[str, Any]:
    return {
        "device": clean(volume.device),
        "uuid": volume.uuid,
        "luks": volume.version,
        "key_slots": volume.slots,
    }
