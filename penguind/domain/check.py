"""A check: a rule that judges devices, as its author wrote it in YAML."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from penguind.domain.calendar import WORKING_HOURS
from penguind.domain.query import Query, check_query, paths_of
from penguind.domain.yaml_text import read_yaml
from penguindome.errors import InvalidInput
from penguindome.reports import valid_plugin_name
from penguindome.times import parse_duration

if TYPE_CHECKING:
    from collections.abc import Collection

Severity = Literal["low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")

MAX_GRACE = timedelta(days=366)
DEFAULT_ALERT_PERIOD = timedelta(days=1)
_WORKING_DAY = timedelta(hours=8)
MAX_SUMMARY_LENGTH = 200
MAX_REMEDY_LENGTH = 2000
SHIPPED = "shipped"
#: Paths whose values are sealed on the device; secret-keeping fills this in.
NOT_SEALED: frozenset[str] = frozenset()

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
_KEYS = (
    "name",
    "summary",
    "severity",
    "remedy",
    "plugin",
    "fails",
    "applies",
    "unknown",
    "grace",
    "alert_period",
    "calendar",
    "opened_by",
    "enabled",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One rule.

    `plugin` names the output that the check depends on, empty for none. A check without `fails` is
    opened by the server's own code and has only words and times. Grace and alert period count
    working time of `calendar`, or all time where it is empty. `source` is the text it was read
    from, `origin` "shipped" or the file's name.
    """

    name: str
    summary: str = ""
    severity: Severity = "medium"
    remedy: str = ""
    plugin: str = ""
    fails: Query | None = None
    applies: Query | None = None
    unknown: Query | None = None
    grace_period: timedelta = timedelta(0)
    alert_period: timedelta = DEFAULT_ALERT_PERIOD
    calendar: str = ""
    enabled: bool = True
    source: str = ""
    origin: str = SHIPPED

    def queries(self) -> tuple[Query, ...]:
        """Return the check's queries, `fails` first."""
        return tuple(one for one in (self.fails, self.unknown, self.applies) if one is not None)

    def paths(self) -> tuple[str, ...]:
        """Return the paths that the check looks at, each once, those of `fails` first."""
        return tuple(dict.fromkeys(path for one in self.queries() for path in paths_of(one)))

    def changes_unseen(self) -> bool:
        """Tell whether verdicts may change without a change in outputs: by time or presence."""
        return any(path.startswith(("report.", "device.")) for path in self.paths())


def valid_check_name(name: str) -> bool:
    """Tell whether a name can be a check's or an issue's: lower-case words with hyphens."""
    return bool(_NAME.fullmatch(name))


def parse_check(
    source: str,
    *,
    origin: str = SHIPPED,
    sealed: Collection[str] = NOT_SEALED,
    calendars: Collection[str] = (WORKING_HOURS,),
) -> Check:
    """Read one check from a YAML document.

    Trust: written by an administrator of the server, or by an operator who wants it tested.

    Args:
        source: The document.
        origin: "shipped" or the file's name.
        sealed: Paths whose values are sealed on the device.
        calendars: Names of the calendars that there are.

    Raises:
        InvalidInput: If a part is missing, unknown, or not allowed; the message names it.
    """
    document = read_yaml(source)
    if not isinstance(document, dict):
        raise InvalidInput("a check is a mapping with name, summary, severity and fails")
    _refuse_unknown_keys(document)
    name = _name(document)
    if not _boolean(document, "enabled", default=True):
        return Check(name=name, enabled=False, source=source, origin=origin)
    calendar = _calendar(document, calendars)
    return Check(
        name=name,
        summary=_text(document, "summary", MAX_SUMMARY_LENGTH),
        severity=_severity(document),
        remedy=_text(document, "remedy", MAX_REMEDY_LENGTH, lines=True),
        plugin=_plugin(document),
        fails=_fails(document, sealed),
        applies=_query(document, "applies", sealed),
        unknown=_query(document, "unknown", sealed),
        grace_period=_duration(document, "grace", timedelta(0), calendar),
        alert_period=_duration(document, "alert_period", _told_daily(calendar), calendar),
        calendar=calendar,
        source=source,
        origin=origin,
    )


def _refuse_unknown_keys(document: dict[str, Any]) -> None:
    for key in document:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, 1)
            remedy = f"did you mean {near[0]}?" if near else f"there are {', '.join(_KEYS)}"
            raise InvalidInput(f"unknown key {key[:40]!a}", remedy=remedy)


def _name(document: dict[str, Any]) -> str:
    name = document.get("name")
    if not isinstance(name, str) or not valid_check_name(name):
        raise InvalidInput(
            "name must be lower-case letters, digits and hyphens, at most 64",
            remedy="for example firewall-disabled",
        )
    return name


def _boolean(document: dict[str, Any], key: str, *, default: bool) -> bool:
    value = document.get(key, default)
    if not isinstance(value, bool):
        raise InvalidInput(f"{key} must be true or false")
    return value


def _text(document: dict[str, Any], key: str, limit: int, *, lines: bool = False) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput(f"{key} is missing", remedy=f"write {key}: and a sentence")
    value = value.strip()
    if len(value) > limit:
        raise InvalidInput(f"{key} has more than {limit} characters")
    if _CONTROL.search(value) or (not lines and "\n" in value):
        raise InvalidInput(f"{key} holds a control character or a line break")
    return value


def _severity(document: dict[str, Any]) -> Severity:
    value = document.get("severity")
    for severity in SEVERITIES:
        if value == severity:
            return severity
    raise InvalidInput(f"severity must be one of {', '.join(SEVERITIES)}")


def _plugin(document: dict[str, Any]) -> str:
    value = document.get("plugin", "")
    if "plugin" in document and (not isinstance(value, str) or not valid_plugin_name(value)):
        raise InvalidInput("plugin must be a plugin's name", remedy="for example sshd")
    return str(value)


def _fails(document: dict[str, Any], sealed: Collection[str]) -> Query | None:
    opened_by = document.get("opened_by", "check")
    if opened_by not in ("check", "server"):
        raise InvalidInput("opened_by must be check or server")
    if opened_by == "check":
        if "fails" not in document:
            raise InvalidInput("fails is missing", remedy="write the query that finds the problem")
        return _query(document, "fails", sealed)
    extra = {"fails", "applies", "unknown", "plugin"} & set(document)
    if extra:
        raise InvalidInput(f"opened_by: server goes without {', '.join(sorted(extra))}")
    return None


def _query(document: dict[str, Any], key: str, sealed: Collection[str]) -> Query | None:
    if key not in document:
        return None
    try:
        return check_query(document[key], sealed=sealed)
    except InvalidInput as error:
        raise InvalidInput(
            f"{key}: {error.text()}" if error.subject else f"{key}: {error.reason}",
            remedy="" if error.subject else error.remedy,
        ) from error


def _calendar(document: dict[str, Any], calendars: Collection[str]) -> str:
    name = document.get("calendar", "")
    if "calendar" not in document:
        return ""
    if not isinstance(name, str) or name not in calendars:
        raise InvalidInput(
            f"there is no calendar {str(name)[:40]!a}",
            remedy=f"there are {', '.join(sorted(calendars))}; "
            "the server's settings define more in [calendars.NAME]",
        )
    return name


def _told_daily(calendar: str) -> timedelta:
    """Return how often people are told where a check does not say: daily, or each working day."""
    return _WORKING_DAY if calendar else DEFAULT_ALERT_PERIOD


def _duration(document: dict[str, Any], key: str, default: timedelta, calendar: str) -> timedelta:
    value = document.get(key, default)
    if isinstance(value, timedelta):
        return value
    if value in (0, "0") and not isinstance(value, bool):
        return timedelta(0)
    if not isinstance(value, str):
        raise InvalidInput(f"{key} must be a duration such as 90m, 4h or 3d")
    if calendar and set(value) & set("dw"):
        raise InvalidInput(
            f"{key} counts working time, which has no days",
            remedy=f"write hours: in {calendar}, 8h is a day of eight working hours",
        )
    duration = parse_duration(value)
    if duration > MAX_GRACE:
        raise InvalidInput(f"{key} is longer than {MAX_GRACE.days} days")
    return duration
