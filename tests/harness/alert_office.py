"""Everything that tells people, on the clock of a bench, and channels whose server dies."""

import asyncio
import random
from contextlib import asynccontextmanager

from penguind.alerts.mail import MailChannel
from penguind.alerts.sender import Sender
from penguind.alerts.teller import Alerts
from penguind.alerts.webhook import WebhookChannel
from penguind.config_alerts import AlertSettings, SmtpSettings, WebhookSettings
from penguind.domain.alert_schedule import DigestSchedule
from penguind.domain.issue import opened_issue
from penguind.domain.verdict import Judged
from penguind.due import DueIssues
from penguind.store.outbox import OutboxStore
from penguind.store.overview import Overview
from penguind.suspension import Suspensions
from tests.harness import mail_server as mails
from tests.harness.judging import judging

FLEET = "f" * 32
SEVERITIES = frozenset({"high", "critical"})


class Dying:
    """A channel whose server is killed now and then: before it sends, or before it notes that."""

    def __init__(self, channel, chance):
        self.channel, self.chance = channel, chance
        self.lost = 0

    async def send(self, alert, now):
        luck = self.chance.random()
        if luck < 0.1:
            raise asyncio.CancelledError
        outcome = await self.channel.send(alert, now)
        if luck > 0.9:
            self.lost += 1
            raise asyncio.CancelledError
        return outcome

    async def rest(self):
        await self.channel.rest()


class Office:
    """Everything that tells people, on the clock of a bench."""

    def __init__(self, bench, settings, channels):
        self.bench = bench
        self.settings = settings
        self.outbox = OutboxStore(bench.database)
        self.channels = channels
        self.emails = {"d-one": "user@example.org"}
        self.restart()

    def restart(self):
        bench = self.bench
        self.senders = [
            Sender(
                name=name,
                channel=channel,
                outbox=self.outbox,
                clock=bench.clock,
                luck=random.Random(3),
            )
            for name, channel in self.channels.items()
        ]
        self.alerts = self.teller()

    def teller(self):
        bench = self.bench
        overview = Overview(bench.database)
        return Alerts(
            settings=self.settings,
            fleet_id=FLEET,
            due=DueIssues(
                issues=bench.issues,
                checks=bench.checks,
                suspensions=Suspensions(bench.devices, overview, bench.clock),
                filtered=self.nothing,
            ),
            schedule=DigestSchedule(),
            database=bench.database,
            outbox=self.outbox,
            issues=bench.issues,
            emails=self.addresses,
            senders=self.senders,
            clock=bench.clock,
        )

    async def nothing(self, issues, now):
        del issues, now
        return set()

    async def addresses(self, device_ids):
        return {key: value for key, value in self.emails.items() if key in device_ids}

    async def open(self, device, name):
        check = self.bench.checks.current.get(name)
        judged = Judged(device, device.removeprefix("d-"), None)
        issue = opened_issue(check, judged, now=self.bench.now, evidence={})
        return await self.bench.issues.insert([issue])

    async def close(self, device, name):
        found = await self.bench.issues.find_open([device], name=name)
        closed = [one.closed(now=self.bench.now, reason="mended") for one in found]
        await self.bench.issues.close(closed)

    async def send(self):
        """Send what is due; a kill ends this penguind, and another one starts."""
        for sender in list(self.senders):
            try:
                while await sender.send_next():
                    pass
            except asyncio.CancelledError:
                self.restart()

    async def rest(self):
        for channel in self.channels.values():
            await channel.rest()


def settings(site, mail, hook, **changes):
    values = {
        "mail_from": "penguind@example.org",
        "mail_to": ("ops@example.org",),
        "user_mail": True,
        "smtp": SmtpSettings(
            "127.0.0.1", mail.port, "starttls", mails.USER, site.password, site.ca, 2
        ),
        "webhooks": {
            "chat": WebhookSettings("chat", hook.url, site.secret, SEVERITIES, site.ca, 2)
        },
    }
    return AlertSettings(**{**values, **changes})


@asynccontextmanager
async def office(uri, site, mail, hook, chance=None, **changes):
    wanted = settings(site, mail, hook, **changes)
    channels = {"mail": MailChannel(wanted, FLEET, "here")}
    channels |= {name: WebhookChannel(one) for name, one in wanted.webhooks.items()}
    if chance is not None:
        channels = {name: Dying(one, chance) for name, one in channels.items()}
    async with judging(uri) as bench:
        made = Office(bench, wanted, channels)
        await made.outbox.prepare()
        yield made
        await made.rest()
