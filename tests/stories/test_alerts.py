"""Weeks of alerts, with a mail server and a webhook that fail half the time, and a dying penguind.

What comes twice is only what a receiver took without its answer arriving; it has the same id.
"""

import asyncio
import random
from collections import Counter
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

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
from tests.harness import hook_server as hooks
from tests.harness import mail_server as mails
from tests.harness.database import mongo_uri
from tests.harness.judging import judging
from tests.harness.site_certificate import SiteCertificate

__all__ = ["mongo_uri"]
FLEET = "f" * 32
FIREWALL, OLD = "firewall-disabled", "os-security-patches-available"
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


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    made = SiteCertificate(folder)
    made.ca, made.password, made.secret = (folder / n for n in ("ca", "password", "secret"))
    made.ca.write_bytes(made.root_pem)
    made.password.write_text(mails.PASSWORD, encoding="utf-8")
    made.secret.write_bytes(hooks.SECRET)
    return made


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


@pytest.fixture
def receivers(site):
    with mails.mail_server(site) as mail, hooks.hook_server(site) as hook:
        yield mail, hook


def arrived_once(kept, told, receivers, lost):
    mail, hook = receivers
    assert len(told) > 50
    assert {one.alert_id for one in told} == {one.alert_id for one in kept}
    # Nothing is refused for good here but a connection and a sender, which are tried again.
    assert Counter(one.state for one in kept) == {"sent": len(told)}
    mailed = [one for one in kept if one.channel == "mail"]
    ids = Counter(one.message_id for one in mail.received)
    assert set(ids) == {f"<{one.alert_id}@{FLEET}.pd>" for one in mailed}
    assert len({one.raw for one in mail.received}) == len(ids)
    posted = Counter(one["id"] for one in hook.received)
    assert set(posted) == {one.alert_id for one in kept if one.channel == "chat"}
    assert hook.wrong == 0
    # Repeats are there, and are exactly those whose answer was lost.
    assert lost > 0
    repeats = sum(ids.values()) - len(ids) + sum(posted.values()) - len(posted)
    assert 0 < repeats <= lost + len(hook.tries) + mail.connections


def test_weeks_of_failures_lose_nothing_and_tell_nothing_twice(mongo_uri, site, receivers):
    mail, hook = receivers
    chance = random.Random(7)
    mail_luck, hook_luck = random.Random(11), random.Random(13)
    mail.failing = lambda: mail_luck.choice([*mails.FAILURES, *[""] * len(mails.FAILURES)])
    hook.failing = lambda: hook_luck.choice([*hooks.FAILURES, *[""] * len(hooks.FAILURES)])

    async def run():
        async with office(mongo_uri, site, mail, hook, chance) as made:
            told = []
            for step in range(14 * 3):
                if step % 6 == 0:
                    await made.open(f"d-{('one', 'two', 'three')[step // 6 % 3]}", FIREWALL)
                    await made.open("d-one", OLD)
                # Two servers look at the same time.
                both = await asyncio.gather(made.alerts.tell_due(), made.teller().tell_due())
                told += [one for part in both for one in part]
                for _ in range(4):
                    await made.send()
                    made.bench.passes(hours=2)
            mail.failing = hook.failing = mails.works
            for channel in made.channels.values():
                channel.chance = random.Random(0)
                channel.chance.random = lambda: 0.5
            for _ in range(12):
                made.bench.passes(hours=4)
                await made.send()
            kept = await made.outbox.newest_first([], 1000)
            events = await made.bench.issues.get_many({i for one in told for i in one.issue_ids})
            return told, kept, events, sum(one.lost for one in made.channels.values())

    told, kept, issues, lost = asyncio.run(run())
    arrived_once(kept, told, receivers, lost)
    for one in issues:
        times = [event.time for event in one.timeline if event.event == "alerted"]
        assert times
        assert len(times) == len(set(times))
        told_by = [alert for alert in told if one.issue_id in alert.issue_ids]
        operators = [alert for alert in told_by if alert.kind == "operators"]
        assert sorted(alert.created_time for alert in operators) == sorted(times)


def test_urgent_is_told_at_once_and_the_rest_with_the_digest(mongo_uri, site, receivers):
    mail, hook = receivers

    async def run():
        async with office(mongo_uri, site, mail, hook, immediate=frozenset({"high"})) as made:
            severities = {n: made.bench.checks.current.get(n).severity for n in (FIREWALL, OLD)}
            assert await made.alerts.tell_due() == []
            await made.open("d-two", FIREWALL)
            await made.open("d-two", "os-update-available")
            made.bench.passes(days=90)
            first = await made.alerts.tell_due()
            again = await made.alerts.tell_due()
            return severities, first, again

    severities, first, again = asyncio.run(run())
    assert severities[FIREWALL] == "high"
    assert {one.kind for one in first} == {"operators", "webhook"}
    assert again == []


def test_what_closed_before_anybody_could_be_told_is_withdrawn(mongo_uri, site, receivers):
    mail, hook = receivers
    mail.failing = lambda: "refuse-connection"

    async def run():
        async with office(mongo_uri, site, mail, hook, webhooks={}) as made:
            await made.open("d-one", FIREWALL)
            made.bench.passes(days=1)
            await made.alerts.tell_due()
            await made.send()
            problems = made.alerts.problems()
            await made.close("d-one", FIREWALL)
            mail.failing = mails.works
            made.bench.passes(hours=1)
            await made.send()
            return problems, await made.outbox.newest_first([], 10)

    problems, kept = asyncio.run(run())
    assert problems == ["Alerts do not get out by mail: 127.0.0.1: 554 go away."]
    assert {one.state for one in kept} == {"withdrawn"}
    assert mail.received == []


def test_a_refused_recipient_is_a_problem_until_somebody_tries_again(mongo_uri, site, receivers):
    mail, hook = receivers
    failures = ["", "rcpt-550", "", "", ""]
    mail.failing = lambda: failures.pop(0) if failures else ""

    async def run():
        async with office(mongo_uri, site, mail, hook) as made:
            await made.open("d-one", FIREWALL)
            made.bench.passes(days=1)
            await made.alerts.tell_due()
            await made.send()
            made.bench.passes(minutes=1)
            await made.alerts.tell_due()
            problems = made.alerts.problems()
            now = made.bench.now
            tried = await made.outbox.retry([], now, now + timedelta(days=1))
            await made.alerts.recount()
            await made.send()
            return problems, tried, made.alerts.problems(), await made.outbox.newest_first([], 10)

    problems, tried, after, kept = asyncio.run(run())
    assert problems[0].startswith("1 alerts were never delivered")
    assert (tried, after) == (1, [])
    assert {one.state for one in kept} == {"sent"}
    assert {one.recipients[0] for one in mail.received} == {"ops@example.org", "user@example.org"}


def test_a_dry_run_says_what_it_would_do_and_does_nothing(mongo_uri, site, receivers):
    mail, hook = receivers

    async def run():
        async with office(mongo_uri, site, mail, hook, dry_run=True) as made:
            await made.open("d-one", FIREWALL)
            made.bench.passes(days=1)
            assert await made.alerts.tell_due() == []
            (issue,) = await made.bench.issues.find_open()
            return issue, await made.outbox.newest_first([], 10)

    issue, kept = asyncio.run(run())
    assert issue.alerted_time is None
    assert kept == []
    assert mail.received == hook.received == []
