"""A wipe's plan and what was done of it, as the device tells them.

Trust: a device wrote it; whatever has another form than ours is passed over, and what is not shown
is in the answer for programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from penguinctl import output, ui
from penguinctl.output import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNITS = ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))
_PHASES = {
    "planned": "has made its plan",
    "erasing-keys": "erases the keys of encrypted volumes",
    "locking-accounts": "locks accounts",
    "ending-processes": "ends sessions and processes",
    "erasing-homes": "erases home folders",
    "deleting-accounts": "deletes accounts",
}


def plan_of(details: Any) -> dict[str, Any]:
    """Return the plan in a receipt's details; an empty one where there is none."""
    plan = details.get("plan") if isinstance(details, dict) else None
    return plan if isinstance(plan, dict) else {}


def phase(details: Any) -> str:
    """Say what a wipe is at: `erases home folders`; empty where that is not known."""
    name = details.get("phase") if isinstance(details, dict) else None
    return _PHASES.get(name, name) if isinstance(name, str) else ""


def size(number: Any) -> str:
    """Return a number of bytes for people."""
    if not isinstance(number, int):
        return "?"
    for unit, name in _UNITS:
        if number >= unit:
            return f"{number / unit:.1f} {name}"
    return f"{number} bytes"


def show_plan(details: Any) -> None:
    """Print what a wipe would do, or was to do."""
    plan = plan_of(details)
    accounts = _dicts(plan, "accounts")
    running = plan.get("processes")
    processes = running if isinstance(running, dict) else {}
    verb = "locked" if plan.get("level") == "lock" else "deleted"
    ui.out(ui.Styled(f"Accounts that are {verb}", "bold"))
    rows = [
        (
            _text(a, "name"),
            _text(a, "uid"),
            _word(processes.get(_text(a, "name"), 0)),
            _elsewhere(a),
        )
        for a in accounts
    ]
    _table(("NAME", "UID", "PROCESSES", "NOTE"), rows, plan, "accounts")
    if plan.get("level") != "lock":
        ui.out()
        ui.out(ui.Styled("Home folders that are erased", "bold"))
        homes = [
            (_text(h, "path"), _text(h, "user"), _text(h, "files"), _home_size(h))
            for h in _dicts(plan, "homes")
        ]
        _table(("PATH", "USER", "FILES", "SIZE"), homes, plan, "homes")
    if plan.get("level") == "crypto-erase":
        ui.out()
        ui.out(ui.Styled("Encrypted volumes whose keys are destroyed", "bold"))
        volumes = [
            (_text(v, "device"), _text(v, "uuid"), _text(v, "luks"), _text(v, "key_slots"))
            for v in _dicts(plan, "volumes")
        ]
        _table(("DEVICE", "UUID", "LUKS", "KEY SLOTS"), volumes, plan, "volumes")
    skipped = [(_text(s, "what"), _text(s, "why")) for s in _dicts(plan, "skipped")]
    if skipped:
        ui.out()
        ui.out(ui.Styled("What stays, and why", "bold"))
        _table(("WHAT", "WHY"), skipped, plan, "skipped")


def show_done(details: Any) -> None:
    """Print what a wipe did, and what it could not do."""
    done = details.get("done") if isinstance(details, dict) else None
    if not isinstance(done, dict):
        return
    steps = done.get("steps")
    for name, count in (steps if isinstance(steps, dict) else {}).items():
        ui.out(f"done: {_word(name)}: {_word(count)}")
    homes = [
        (_text(h, "path"), _text(h, "files"), size(h.get("bytes")), _text(h, "left"))
        for h in _dicts(done, "erased_homes")
    ]
    if homes:
        _table(("ERASED", "FILES", "SIZE", "LEFT"), homes, done, "erased_homes")
    failures = [
        (_text(f, "step"), _text(f, "what"), _text(f, "why")) for f in _dicts(done, "failures")
    ]
    if failures:
        ui.out(ui.Styled("What failed", "red"))
        _table(("STEP", "WHAT", "WHY"), failures, done, "failures")


def _home_size(home: dict[str, Any]) -> str:
    more = " and more" if home.get("uncounted_folders") else ""
    return size(home.get("bytes")) + more + ("; stays, empty" if home.get("stays_empty") else "")


def _table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], within: dict[str, Any], name: str
) -> None:
    if not rows:
        ui.out("none")
        return
    output.table([Column(title, shrinks=True) for title in titles], rows)
    whole = within.get(f"{name}_in_all")
    if isinstance(whole, int) and whole > len(rows):
        ui.out(f"… {whole:,} in all")


def _dicts(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    found = value.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _text(value: dict[str, Any], name: str) -> str:
    return _word(value.get(name, "-"))


def _word(value: Any) -> str:
    return str(value)


def _elsewhere(account: dict[str, Any]) -> str:
    return "not of this machine's own passwd file" if account.get("elsewhere") else "-"
