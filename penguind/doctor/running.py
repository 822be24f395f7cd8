"""Running checks one after another, each in bounded time and alone: one that crashes says so."""

from __future__ import annotations

import threading
import traceback
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from penguind.doctor.examination import Examination, NotExamined
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

Status = Literal["ok", "warn", "fail"]
_ORDER: tuple[Status, ...] = ("ok", "warn", "fail")
#: Opening a database that is away takes 15 s.
LIMIT_SECONDS = 25.0
#: Reading a whole ledger of years takes its time.
FULL_SECONDS = 600.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: its status, a sentence, and a remedy where one is needed."""

    status: Status
    found: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finding with the name of its check."""

    name: str
    status: Status
    found: str
    remedy: str

    def document(self) -> dict[str, str]:
        """Return the JSON form."""
        return asdict(self)


def ok(found: str) -> Finding:
    """Return that all is well."""
    return Finding("ok", found)


def warn(found: str, remedy: str) -> Finding:
    """Return that something needs attention."""
    return Finding("warn", found, remedy)


def fail(found: str, remedy: str) -> Finding:
    """Return that something is broken."""
    return Finding("fail", found, remedy)


def examine(
    checks: Mapping[str, Callable[[Examination], Finding]], config: Path, *, full: bool
) -> list[Outcome]:
    """Run all checks in order."""
    examination = Examination(config, full=full)
    limit = FULL_SECONDS if full else LIMIT_SECONDS
    return [_outcome(name, check, examination, limit) for name, check in checks.items()]


def worst(outcomes: Sequence[Outcome]) -> Status:
    """Return the worst status of all."""
    return max((one.status for one in outcomes), key=_ORDER.index, default="ok")


def _outcome(
    name: str,
    check: Callable[[Examination], Finding],
    examination: Examination,
    limit: float,
) -> Outcome:
    found: list[Finding] = []
    thread = threading.Thread(
        target=lambda: found.append(_guarded(check, examination)), name=name, daemon=True
    )
    thread.start()
    thread.join(limit)
    (finding,) = found or [fail(f"no answer in {limit:.0f} s", "try again when less is going on")]
    return Outcome(name, finding.status, finding.found, finding.remedy)


def _guarded(check: Callable[[Examination], Finding], examination: Examination) -> Finding:
    try:
        return check(examination)
    except NotExamined as error:
        return warn(f"not examined: {error}", "")
    except PenguinDomeError as error:
        subject = f"{error.subject}: " if error.subject else ""
        return fail(f"{subject}{error.reason}", error.remedy)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return fail(
            f"{where}{error.strerror or error}", "correct its owner and mode, or run as root"
        )
    except Exception as error:  # noqa: BLE001 -- one broken check must not hide the others
        return fail(
            f"the check itself crashed: {type(error).__name__} {_place(error)}", "report it"
        )


def _place(error: BaseException) -> str:
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"({last.name}:{last.lineno})"
