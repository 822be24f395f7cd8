"""Building what finds issues that are due, and what tells people about them."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING

from penguind.alerts.desk import AlertDesk
from penguind.alerts.mail import MailChannel
from penguind.alerts.sender import Sender
from penguind.alerts.teller import Alerts
from penguind.alerts.webhook import WebhookChannel
from penguind.domain.alert import MAIL
from penguind.domain.alert_schedule import DigestSchedule
from penguind.due import DueIssues
from penguind.links import Links
from penguind.store.overview import Overview
from penguind.suspension import Suspensions
from penguindome.errors import PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from penguind.alerts.sender import Channel
    from penguind.wiring_base import Base, Judging


@dataclass(frozen=True, slots=True)
class Alerting:
    """What tells people; `workers` have to run, by name."""

    due: DueIssues
    alerts: Alerts
    desk: AlertDesk
    workers: Mapping[str, Callable[[], Coroutine[object, object, None]]]


def make_alerting(base: Base, judging: Judging) -> Alerting:
    """Build everything about alerts.

    Raises:
        PreconditionFailed: the digest's calendar does not exist.
    """
    settings, stores = base.settings.alerts, base.stores
    fleet, clock = base.settings.server.fleet_id, base.clock
    due = make_due(base, judging)
    channels = _channels(base)
    senders = [
        Sender(name=name, channel=make(), outbox=stores.outbox, clock=clock)
        for name, make in channels.items()
    ]
    alerts = Alerts(
        settings=settings,
        fleet_id=fleet,
        due=due,
        schedule=_schedule(base, judging),
        database=base.database,
        outbox=stores.outbox,
        issues=stores.issues,
        emails=stores.parameters.emails,
        senders=senders,
        clock=clock,
    )
    desk = AlertDesk(
        settings=settings,
        fleet_id=fleet,
        alerts=alerts,
        outbox=stores.outbox,
        channels=channels,
        clock=clock,
    )
    base.problems.add(alerts.problems)
    workers = {"alerts": alerts.run} if settings.enabled else {}
    if settings.enabled and not settings.dry_run:
        workers |= {f"alerts-by-{one.name}": one.run for one in senders}
    return Alerting(due, alerts, desk, workers)


def make_due(base: Base, judging: Judging) -> DueIssues:
    """Build what finds issues that are due."""
    stores, overview = base.stores, Overview(base.database)
    links = Links(
        parameters=stores.parameters,
        devices=stores.devices,
        overview=overview,
        check=lambda: judging.checks.current.get("not-reporting"),
    )
    return DueIssues(
        issues=stores.issues,
        checks=judging.checks,
        suspensions=Suspensions(stores.devices, overview, base.clock),
        filtered=links.filtered,
    )


def _channels(base: Base) -> dict[str, Callable[[], Channel]]:
    """Return what makes each channel that is set up, by name."""
    settings, fleet = base.settings.alerts, base.settings.server.fleet_id
    name = _helo_name(base.settings.server.advertised_host)
    found: dict[str, Callable[[], Channel]] = {}
    if settings.mails:
        found[MAIL] = partial(MailChannel, settings, fleet, name)
    for hook in settings.webhooks.values():
        found[hook.name] = partial(WebhookChannel, hook)
    return found


def _helo_name(host: str) -> str:
    """Return what we call ourselves to a mail server. Source: RFC 5321, 4.1.1.1 and 4.1.3."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host or "localhost"
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def _schedule(base: Base, judging: Judging) -> DigestSchedule:
    settings, calendars = base.settings.alerts, judging.checks.current.calendars
    calendar = calendars.get(settings.digest_calendar)
    if calendar is None and settings.digest_calendar:
        raise PreconditionFailed(
            f"there is no calendar {settings.digest_calendar[:40]!r}",
            code="no-calendar",
            subject="alerts.digest_calendar",
            remedy=f"there are: {', '.join(sorted(calendars))}",
        )
    zone = UTC if calendar is None else calendar.zone
    return DigestSchedule(settings.digest_time, zone, settings.digest_interval)
