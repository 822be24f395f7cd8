"""Carry a plan out, step by step; a step that fails is told and does not stop the others.

Keys go first, since they take everything else along; then nobody may log in, then nobody is
there any more, then homes go, then accounts.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penguin_agent.wipe.job import Phase, Result
from penguin_agent.wipe.processes import end_all
from penguin_agent.wipe.telling import clean, fitting, listed, tally_json
from penguin_agent.wipe.walk import Tally, erase, open_home
from penguindome.errors import PreconditionFailed
from penguindome.orders.bodies import WipeBody

if TYPE_CHECKING:
    from collections.abc import Callable

    from penguin_agent.wipe.homes import Home
    from penguin_agent.wipe.machine import Machine
    from penguin_agent.wipe.plan import Plan
    from penguin_agent.wipe.volumes import Volumes
    from penguindome.orders.opening import Opened

_ROOT = Path("/")


@dataclass(slots=True)
class Record:
    """What was done: how many of each step, which homes, and what failed as (step, what, why)."""

    done: dict[str, int] = field(default_factory=dict)
    homes: list[tuple[str, Tally]] = field(default_factory=list)
    failures: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, step: str, what: str, why_not: str) -> None:
        """Note how a step went; `why_not` is "" when it went well."""
        if why_not:
            self.failures.append((step, what, why_not))
        else:
            self.done[step] = self.done.get(step, 0) + 1

    def to_json(self, limit: int) -> dict[str, Any]:
        """Return the record as receipts have it."""
        homes = [{"path": clean(path), **tally_json(tally)} for path, tally in self.homes]
        failures = [
            {"step": step, "what": clean(what), "why": clean(why)}
            for step, what, why in self.failures
        ]
        return {
            "steps": dict(self.done),
            **listed("erased_homes", homes, limit),
            **listed("failures", failures, limit),
        }


class Wipe:
    """One wipe of this machine, by a plan that was made for its `/`.

    Args:
        warrant: The order, whose signatures are good.
        plan: What goes.
        machine: Changes accounts.
        volumes: Erases keys.
        note: Puts a phase on disk before it begins.

    Raises:
        PreconditionFailed: The order is not for what was planned, or the plan is not for `/`.
    """

    def __init__(
        self,
        warrant: Opened,
        plan: Plan,
        machine: Machine,
        volumes: Volumes,
        note: Callable[[Phase], None],
    ) -> None:
        body = warrant.body
        ordered = body.level if isinstance(body, WipeBody) and not warrant.missing else ""
        if warrant.kind.name != "wipe" or ordered != plan.level or plan.root != _ROOT:
            raise PreconditionFailed("no signed order asks for this wipe", code="no-order")
        self._plan = plan
        self._machine = machine
        self._volumes = volumes
        self._note = note
        self.record = Record()

    def details(self) -> dict[str, Any]:
        """Return plan and record, short enough for a receipt."""
        return fitting(
            lambda limit: {"plan": self._plan.to_json(limit), "done": self.record.to_json(limit)}
        )

    def carry_out(self) -> Result:
        """Do it all; return how it ended."""
        if self._plan.level == "crypto-erase":
            self._erase_keys()
        self._lock_accounts()
        self._end_processes()
        if self._plan.level != "lock":
            self._erase_homes()
            self._delete_accounts()
        if not self.record.failures:
            return Result("succeeded", details=self.details())
        step, what, why = self.record.failures[0]
        count = len(self.record.failures)
        more = f", and {count - 1} more" if count > 1 else ""
        reason = f"not everything is done: {step} of {clean(what)}: {clean(why)}{more}"
        return Result("failed", reason, "partly-done", self.details())

    def _enter(self, phase: str) -> None:
        self._note(Phase(phase, self.details()))

    def _erase_keys(self) -> None:
        self._enter("erasing-keys")
        for volume in self._plan.volumes:
            self.record.add("erase-keys", volume.device, self._volumes.erase(volume))
        if not self._plan.volumes:
            self.record.add("erase-keys", "this machine", "no LUKS volume was found")

    def _lock_accounts(self) -> None:
        self._enter("locking-accounts")
        for account in self._plan.accounts:
            self.record.add("lock-account", account.name, self._machine.lock_account(account))

    def _end_processes(self) -> None:
        self._enter("ending-processes")
        for account in self._plan.accounts:
            self._machine.end_sessions(account)
        left = end_all(self._plan.owners)
        for account in self._plan.accounts:
            count = left.get(account.name, 0)
            why = f"{count} processes do not end" if count else ""
            self.record.add("end-processes", account.name, why)

    def _erase_homes(self) -> None:
        for home in self._plan.homes:
            self._enter("erasing-homes")
            self.record.add("erase-home", home.path, self._erase_home(home))

    def _erase_home(self, home: Home) -> str:
        """Erase one home; return why something is left."""
        parent, _, name = home.path.rpartition("/")
        try:
            above = open_home(_ROOT, parent)
        except OSError as error:
            return _reason(error)
        try:
            tally = self._empty(home)
            self.record.homes.append((home.path, tally))
            if tally.left:
                return f"{tally.left} entries are left"
            if not home.is_mount:
                os.rmdir(name, dir_fd=above)
        except (OSError, PreconditionFailed) as error:
            return _reason(error)
        finally:
            os.close(above)
        return ""

    def _empty(self, home: Home) -> Tally:
        descriptor = open_home(_ROOT, home.path)
        try:
            found = os.fstat(descriptor)
            if (found.st_dev, found.st_ino) != (home.device, home.inode):
                raise PreconditionFailed("another folder is there than was planned")
            return erase(descriptor)
        finally:
            os.close(descriptor)

    def _delete_accounts(self) -> None:
        self._enter("deleting-accounts")
        for account in self._plan.accounts:
            self.record.add("delete-account", account.name, self._machine.delete_account(account))


def _reason(error: OSError | PreconditionFailed) -> str:
    return error.reason if isinstance(error, PreconditionFailed) else error.strerror or str(error)
