"""Who is told what: messages for issues that are due.

1. Operators get one mail each, with everything by device.
2. A device's user gets one mail about that device, where an address is known.
3. A webhook gets one message for each device, with the issues whose severity it wants.
4. An issue that is in no message was told to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from penguind.domain import alert_hook, alert_words
from penguind.domain.alert import PATIENCE, Alert, Kind
from penguind.domain.alert_mail import header_line, valid_address
from penguindome.ids import new_ulid

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from penguind.domain.check import Severity
    from penguind.domain.issue import Issue


@dataclass(frozen=True, slots=True)
class Audience:
    """Who can be told.

    Attributes:
        fleet_id: stands in every message.
        operators: mail addresses.
        users: whether users are mailed.
        emails: users' mail addresses by device id.
        hooks: wanted severities by webhook's name.
    """

    fleet_id: str
    operators: tuple[str, ...] = ()
    users: bool = False
    emails: Mapping[str, str] = field(default_factory=dict)
    hooks: Mapping[str, frozenset[Severity]] = field(default_factory=dict)

    def email(self, device_id: str) -> str:
        """Return the address of a device's user; empty where users are not mailed or none is."""
        address = self.emails.get(device_id, "") if self.users else ""
        return address if valid_address(address) else ""

    @property
    def empty(self) -> bool:
        """Tell whether there is nobody to tell."""
        return not (self.operators or self.users or self.hooks)


def planned(issues: Sequence[Issue], audience: Audience, now: datetime) -> list[Alert]:
    """Return the messages that tell everybody about these issues."""
    if not issues:
        return []
    groups = alert_words.by_device(issues)
    made = [_to_operator(one, issues, audience, now) for one in audience.operators]
    made += user_mails(issues, audience, now)
    for name, severities in sorted(audience.hooks.items()):
        wanted = [[one for one in group if one.severity in severities] for group in groups]
        made += [_to_hook(name, group, audience.fleet_id, now) for group in wanted if group]
    return made


def user_mails(issues: Sequence[Issue], audience: Audience, now: datetime) -> list[Alert]:
    """Return the mails to users about these issues, one for each device with an address."""
    made = []
    for group in alert_words.by_device(issues):
        if address := audience.email(group[0].device_id):
            alert = _alert("user", address, alert_words.user_subject(group), group, now)
            made.append(replace(alert, text=alert_words.user_text(group)))
    return made


def without_address(issues: Sequence[Issue], audience: Audience) -> list[list[Issue]]:
    """Return the issues, by device, whose users cannot be mailed though users are."""
    if not audience.users:
        return []
    return [
        group
        for group in alert_words.by_device(issues)
        if not audience.email(group[0].device_id) and not group[0].device_id.startswith("server:")
    ]


def told_ids(alerts: Sequence[Alert]) -> set[str]:
    """Return the ids of the issues that these messages tell of."""
    return {issue_id for alert in alerts for issue_id in alert.issue_ids}


def _to_operator(address: str, issues: Sequence[Issue], audience: Audience, now: datetime) -> Alert:
    mailed = {one.device_id for one in issues if audience.email(one.device_id)}
    text = alert_words.operators_text(
        issues, mailed=mailed, users_are_mailed=audience.users, fleet_id=audience.fleet_id
    )
    alert = _alert("operators", address, alert_words.operators_subject(issues), issues, now)
    return replace(alert, text=text)


def _to_hook(name: str, group: Sequence[Issue], fleet_id: str, now: datetime) -> Alert:
    alert = _alert("webhook", name, alert_words.operators_subject(group), group, now)
    body = alert_hook.issues_body(alert.alert_id, fleet_id, group, now)
    return replace(alert, text=body)


def _alert(
    kind: Kind, recipient: str, subject: str, issues: Sequence[Issue], now: datetime
) -> Alert:
    return Alert(
        alert_id=new_ulid(now),
        kind=kind,
        recipient=recipient,
        subject=header_line(subject),
        text="",
        issue_ids=tuple(one.issue_id for one in issues),
        created_time=now,
        give_up_time=now + PATIENCE,
        next_attempt_time=now,
    )
