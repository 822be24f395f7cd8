"""What alerts say, to whom, and when: the pure rules."""

from __future__ import annotations

import email
import email.policy
import json
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguind.domain.alert import PATIENCE, Outcome, retry_wait
from penguind.domain.alert_hook import issues_body, signature
from penguind.domain.alert_mail import Mail, header_line, mail_bytes, valid_address
from penguind.domain.alert_plan import Audience, planned, told_ids, without_address
from penguind.domain.alert_schedule import DigestSchedule
from penguind.domain.alert_words import operators_text, user_text
from penguind.domain.issue import Issue
from penguindome.display import printable

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FLEET = "0" * 32
HOUR = timedelta(hours=1)
ULID = "01HZY3J5Q0G7X8K9M2N4P6R8ST"
texts = st.text(st.characters(exclude_categories=[]), max_size=300)


def issue(name="firewall-disabled", device="d-one", severity="high", **facts):
    values = {
        "issue_id": f"{device}/{name}",
        "hostname": device.removeprefix("d-"),
        "summary": "The firewall is off",
        "remedy": "Switch it on:\n\n    ufw enable",
        "opened_time": NOW - HOUR,
    }
    return Issue(device_id=device, name=name, severity=severity, **{**values, **facts})


@given(texts, texts, st.integers(0, 2**32))
def test_any_words_make_a_mail_that_parses_back(subject, body, moment):
    moment = datetime.fromtimestamp(moment, UTC)
    text = "\n".join(map(printable, body.split("\n"))) + "\n"
    mail = Mail(ULID, "ann@example.org", subject, text, moment)
    raw = mail_bytes(mail, sender="penguind@example.org", fleet_id=FLEET)
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert b"\n" not in raw.replace(b"\r\n", b"")
    found = email.message_from_bytes(raw, policy=email.policy.SMTP)
    names = [name for name, _ in found.items()]
    assert len(names) == len(set(names)) == 9
    assert str(found["Subject"]) == header_line(subject)
    assert found["To"].addresses[0].addr_spec == "ann@example.org"
    assert found["From"].addresses[0].addr_spec == "penguind@example.org"
    assert found["Date"].datetime == moment
    assert found["Message-ID"] == f"<{ULID}@{FLEET}.pd>"
    assert f"Message-ID: <{ULID}@".encode() in raw
    assert found["Auto-Submitted"] == "auto-generated"
    assert found.get_content_type() == "text/plain"
    assert found.get_content().replace("\r\n", "\n") == text


@given(texts, texts, texts, texts)
def test_no_words_of_a_device_break_a_text(hostname, name, summary, remedy):
    one = issue(name=name, hostname=hostname, summary=summary, remedy=remedy)
    audience = Audience(FLEET, ("ann@example.org",), True, {"d-one": "u@example.org"}, HOOK)
    alerts = planned([one], audience, NOW)
    assert [alert.kind for alert in alerts] == ["operators", "user", "webhook"]
    for alert in alerts[:2]:
        assert printable(alert.subject) == alert.subject
        assert "\n".join(map(printable, alert.text.split("\n"))) == alert.text
        assert all(len(line) <= 998 for line in alert.subject.splitlines())
    body = json.loads(alerts[2].text)
    wanted = (hostname, name, summary, remedy)
    got = body["device"]["hostname"], *(body["issues"][0][k] for k in ("name", "summary", "remedy"))
    assert got == wanted


HOOK = {"chat": frozenset({"high", "critical"})}


def test_everybody_is_told_once_of_everything():
    issues = [
        issue(),
        issue("disk-open", severity="critical"),
        issue(device="d-two", severity="low"),
        issue(device="server:x"),
    ]
    audience = Audience(
        FLEET, ("a@example.org", "b@example.org"), True, {"d-one": "u@example.org"}, HOOK
    )
    alerts = planned(issues, audience, NOW)
    assert [(one.kind, one.recipient) for one in alerts] == [
        ("operators", "a@example.org"),
        ("operators", "b@example.org"),
        ("user", "u@example.org"),
        ("webhook", "chat"),
        ("webhook", "chat"),
    ]
    assert alerts[0].subject == "PenguinDome: 4 issues (critical) on 3 devices, the worst is one"
    assert alerts[0].text.index("disk-open") < alerts[0].text.index("firewall-disabled")
    assert alerts[0].text.count("Its user was not told") == 1
    assert "Remedy: Switch it on: ufw enable" in alerts[0].text
    assert set(alerts[2].issue_ids) == {"d-one/disk-open", "d-one/firewall-disabled"}
    assert "d-two/firewall-disabled" not in told_ids(alerts[2:])
    assert told_ids(alerts) == {one.issue_id for one in issues}
    assert [group[0].device_id for group in without_address(issues, audience)] == ["d-two"]
    assert len({one.alert_id for one in alerts}) == len(alerts)


def test_what_nobody_wants_to_hear_is_in_no_message():
    audience = Audience(FLEET, hooks=HOOK)
    assert planned([issue(severity="low")], audience, NOW) == []
    assert planned([], Audience(FLEET, ("a@example.org",)), NOW) == []
    assert Audience(FLEET).empty
    assert not audience.empty


def test_a_user_reads_what_to_do_and_that_it_ends_by_itself():
    text = user_text([issue()])
    for words in (
        "your computer one reports a problem",
        "1. The firewall is off",
        "    ufw enable",
        "closes by itself",
        "penguin-agent issues",
        "Since 2026-03-02 08:00 UTC",
    ):
        assert words in text


def test_a_mail_about_a_whole_fleet_stays_readable():
    issues = [issue(device=f"d-{number:04}") for number in range(500)]
    text = operators_text(issues, mailed=set(), users_are_mailed=False, fleet_id=FLEET)
    assert "300 more issues" in text
    assert len(text) < 100_000


@pytest.mark.parametrize(
    ("address", "valid"),
    [
        ("ann@example.org", True),
        ("a.b+c@mail.example.org", True),
        ("root@localhost", True),
        ("", False),
        ("ann", False),
        ("ann@example.org\r\nBcc: eve@example.org", False),
        ("ann@example.org\n", False),
        ("ann@example.org, eve@example.org", False),
        ("Ann <ann@example.org>", False),
        ('"a b"@example.org', False),
        ("ann@exämple.org", False),
        ("ann@-x.org", False),
        ("a" * 250 + "@example.org", False),
    ],
)
def test_addresses(address, valid):
    assert valid_address(address) is valid


def test_a_signature_is_over_time_and_body():
    # Computed with: printf '1700000000.{}' | openssl dgst -sha256 -hmac secret
    expected = "v1=b8569b78799ff9e3cbff0fc2d63a33a2b57f3282abd07c37ae5e8e7d79a5f163"
    assert signature(b"secret", "1700000000", b"{}") == expected
    assert signature(b"secret", "1", b"{}") != signature(b"secret", "2", b"{}")
    body = issues_body("01A", FLEET, [issue(alerted_time=NOW)], NOW)
    assert json.loads(body)["issues"][0]["told_before_time"] == "2026-03-02T09:00:00Z"


def alert():
    return planned([issue()], Audience(FLEET, ("a@example.org",)), NOW)[0]


def test_tries_grow_apart_and_end_after_days():
    waits = [retry_wait(number, 0.5) for number in range(1, 12)]
    assert waits[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert waits == sorted(waits)
    assert waits[-1] == timedelta(hours=4)
    assert retry_wait(3, 0) < retry_wait(3, 1) <= 2 * retry_wait(3, 0)
    one, now = alert(), NOW
    while one.state == "waiting":
        one = replace(one, attempts=one.attempts + 1)
        one = one.settled(Outcome("again", "451 later"), now, 0.5)
        now = one.next_attempt_time or now
    assert (one.state, one.last_error) == ("failed", "451 later")
    assert PATIENCE - timedelta(hours=5) < now - NOW <= PATIENCE
    assert 30 < one.attempts < 60


def test_outcomes():
    sent = alert().settled(Outcome("sent", "250"), NOW, 0)
    assert (sent.state, sent.sent_time, sent.next_attempt_time) == ("sent", NOW, None)
    assert alert().settled(Outcome("refused", "550"), NOW, 0).state == "failed"
    asked = alert().settled(Outcome("again", "429", wait=2 * HOUR), NOW, 0)
    assert asked.next_attempt_time == NOW + 2 * HOUR
    lost = alert().settled(Outcome("again", "?", perhaps_delivered=True), NOW, 0)
    assert lost.settled(Outcome("again", "451"), NOW, 0).perhaps_delivered
    assert alert().withdrawn().state == "withdrawn"


def test_a_daily_digest_comes_at_its_local_time_also_when_clocks_change():
    berlin = DigestSchedule(time(8), ZoneInfo("Europe/Berlin"))
    moment = datetime(2026, 3, 27, 12, tzinfo=UTC)
    hours = []
    for _ in range(4):
        moment = berlin.next_time(moment)
        hours.append((moment.day, moment.hour))
    assert hours == [(28, 7), (29, 6), (30, 6), (31, 6)]
    assert berlin.latest(NOW, NOW + 3 * HOUR) is None
    assert berlin.latest(NOW, NOW + timedelta(days=3)) == datetime(2026, 3, 5, 7, tzinfo=UTC)


@given(st.integers(1, 10**6), st.integers(0, 10**7))
def test_an_interval_digest_keeps_its_beat(minutes, passed):
    schedule = DigestSchedule(interval=timedelta(minutes=minutes))
    now = NOW + timedelta(minutes=passed)
    due = schedule.latest(NOW, now)
    if passed < minutes:
        assert due is None
    else:
        assert due is not None
        assert due <= now < due + timedelta(minutes=minutes)
        assert (due - NOW) % timedelta(minutes=minutes) == timedelta()
