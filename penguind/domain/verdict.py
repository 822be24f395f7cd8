"""What a check says about one device."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Verdict(StrEnum):
    """Pass, fail, or why neither can be said."""

    PASS = "pass"  # noqa: S105 -- not a password
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not-applicable"


_ANSWERED = frozenset({"ok", "cached"})


@dataclass(frozen=True, slots=True)
class Matches:
    """Which of a check's queries match one device; those that it has not are absent as said."""

    fails: bool
    applies: bool = True
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class Judged:
    """One device and its verdicts.

    `statuses` are the outputs' statuses by plugin, `verdicts` by check. `data_time` is when the
    last report was received, None before the first.
    """

    device_id: str
    hostname: str
    data_time: datetime | None
    statuses: Mapping[str, str] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)


def verdict_of(plugin: str, statuses: Mapping[str, str], matches: Matches) -> Verdict:
    """Return the verdict of a check, by these rules, the first that holds.

    1. The output that the check depends on is absent or not applicable, or `applies` does not
       match: not applicable.
    2. That output is no answer (unknown, error, timeout): unknown.
    3. `fails` matches: fail. A thing that is certainly wrong stays wrong beside an unknown one.
    4. `unknown` matches: unknown.
    5. Else: pass.
    """
    status = statuses.get(plugin, "not-applicable") if plugin else "ok"
    if status == "not-applicable":
        return Verdict.NOT_APPLICABLE
    if status not in _ANSWERED:
        return Verdict.UNKNOWN
    if not matches.applies:
        return Verdict.NOT_APPLICABLE
    if matches.fails:
        return Verdict.FAIL
    return Verdict.UNKNOWN if matches.unknown else Verdict.PASS
