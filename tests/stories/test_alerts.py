"""Weeks of alerts, with a mail server and a webhook that fail half the time, and a dying penguind.

What comes twice is only what a receiver took without its answer arriving; it has the same id.
"""

import asyncio
import random
from collections import Counter
from datetime import timedelta

import pytest

from tests.harness import hook_server as hooks
from tests.harness import mail_server as mails
from tests.harness.alert_office import FLEET, office
from tests.harness.database import mongo_uri
from tests.harness.site_certificate import SiteCertificate

__all__ = ["mongo_uri"]
FIREWALL, OLD = "firewall-disabled", "os-security-patches-available"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    made = SiteCertificate(folder)
    made.ca, made.password, made.secret = (folder / n for n in ("ca", "password", "secret"))
    made.ca.write_bytes(made.root_pem)
    made.password.write_text(mails.PASSWORD, encoding="utf-8")
    made.secret.write_bytes(hooks.SECRET)
    return made


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
