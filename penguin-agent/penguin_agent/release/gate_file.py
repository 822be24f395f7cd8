"""What is remembered about a switch to a new release until it has proved itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from logbook import Logger

from penguin_agent.release.tree import PACKAGE, TreeName, tree_name
from penguindome.durable import read_file, remove_file, write_file
from penguindome.errors import NotFound, PenguinDomeError
from penguindome.orders.fields import Fields
from penguindome.strict_json import canonical_json, parse_json

if TYPE_CHECKING:
    from pathlib import Path

log = Logger(__name__)

PENDING, PASSED, RETURNED = "pending", "passed", "returned"
_STATES = (PENDING, PASSED, RETURNED)
_NUMBER = 2**31
_PLUGINS = 2000
_TEXT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Trial:
    """A release on trial, and how that ended.

    Attributes:
        order_id: Of the release.
        name: Its tree.
        before: The tree to return to.
        judged: Plugins that it brought or changed, and that did not fail before.
        state: PENDING, PASSED or RETURNED.
        starts: How often the agent started meanwhile.
        spent_seconds: How long it was awake meanwhile.
        reason: Why it was taken back.
        code: The same, for machines.
        failed: Plugins that failed.
        returned_to: The tree in force afterwards.
    """

    order_id: str
    name: TreeName
    before: TreeName
    judged: tuple[str, ...] = ()
    state: str = PENDING
    starts: int = 0
    spent_seconds: int = 0
    reason: str = ""
    code: str = ""
    failed: tuple[str, ...] = ()
    returned_to: str = ""

    @property
    def is_pending(self) -> bool:
        """Tell whether it has not proved itself yet."""
        return self.state == PENDING

    def passed(self) -> Trial:
        """Return the trial once the release has proved itself."""
        return replace(self, state=PASSED)

    def failing(self, reason: str, code: str, plugins: tuple[str, ...] = ()) -> Trial:
        """Return the trial with the reason why the release is taken back."""
        return replace(self, reason=reason, code=code, failed=plugins)

    def returned(self, name: TreeName) -> Trial:
        """Return the trial once another tree is in force again."""
        return replace(self, state=RETURNED, returned_to=str(name))


class GateFile:
    """The file that survives the agent."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Trial | None:
        """Return the last trial; None where there was none, or nobody can tell."""
        try:
            return _read(read_file(self._path))
        except NotFound:
            return None
        except PenguinDomeError as error:
            log.error("What was noted about the new release is lost: {}", error)  # noqa: TRY400 -- no bug
            return None

    def write(self, trial: Trial) -> None:
        """Keep a trial."""
        value = {
            "order_id": trial.order_id,
            "name": str(trial.name),
            "before": str(trial.before),
            "judged": list(trial.judged),
            "state": trial.state,
            "starts": trial.starts,
            "spent_seconds": trial.spent_seconds,
            "reason": trial.reason[:_TEXT_BYTES],
            "code": trial.code,
            "failed": list(trial.failed),
            "returned_to": trial.returned_to,
        }
        write_file(self._path, canonical_json(value))

    def forget(self) -> None:
        """Forget the trial."""
        remove_file(self._path)


def _read(data: bytes) -> Trial:
    fields = Fields(parse_json(data), "the note about the new release")
    trial = Trial(
        order_id=fields.text("order_id", 26),
        name=_name(fields, "name"),
        before=_name(fields, "before"),
        judged=fields.texts("judged", _PLUGINS, 64),
        state=fields.choice("state", _STATES),
        starts=fields.number("starts", 0, _NUMBER),
        spent_seconds=fields.number("spent_seconds", 0, _NUMBER),
        reason=fields.text("reason", 4 * _TEXT_BYTES),
        code=fields.text("code", 64),
        failed=fields.texts("failed", _PLUGINS, 64),
        returned_to=fields.text("returned_to", 32),
    )
    fields.end()
    return trial


def _name(fields: Fields, field: str) -> TreeName:
    text = fields.text(field, 32)
    name = PACKAGE.name if text == str(PACKAGE.name) else tree_name(text)
    if name is None:
        fields.refuse(f"{field} is no tree")
    return name
