"""Mail headers and formulas in what devices and operators can say, and in users' addresses."""

import email
import email.policy
from dataclasses import replace

import pytest

from penguind.domain.alert_mail import Mail, mail_bytes
from penguind.domain.alert_plan import Audience, planned
from tests.penguind.test_alert_rules import FLEET, NOW, issue

OPERATOR, USER = "ops@example.org", "user@example.org"
HEADERS = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"]
HEADERS += ["Content-Type", "Content-Transfer-Encoding", "MIME-Version"]
HOSTILE = [
    "web\r\nBcc: eve@example.org",
    "web\nBcc: eve@example.org\n\nhello",
    "web\r\n\r\n<html><script>",
    "web\x0bBcc: eve@example.org",
    "web\u2028Bcc: eve@example.org",
    "web\u202etxt.exe",
    "=?utf-8?q?=0d=0aBcc=3a_eve=40example=2eorg?=",
    "\x1b]0;owned\x07",
    "=cmd|'/C calc'!A0",
    "web\r\n.\r\nMAIL FROM:<eve@example.org>",
    "a" * 5000,
    "web\ud800",
]


def mails(one, emails):
    """Return each mail as it goes over the wire, parsed, with its bytes."""
    audience = Audience(FLEET, (OPERATOR,), True, emails)
    for alert in planned([one], audience, NOW):
        mail = Mail(alert.alert_id, alert.recipient, alert.subject, alert.text, NOW)
        raw = mail_bytes(mail, sender="penguind@example.org", fleet_id=FLEET)
        yield email.message_from_bytes(raw, policy=email.policy.SMTP), raw


@pytest.mark.parametrize("field", ["hostname", "name", "summary", "remedy", "device_id"])
@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_word_of_an_issue_adds_a_header_or_a_recipient(field, text):
    one = replace(issue(), **{field: text})
    found = list(mails(one, {one.device_id: USER}))
    assert [str(message["To"]) for message, _ in found] == [OPERATOR, USER]
    for message, raw in found:
        assert sorted(message.keys()) == sorted(HEADERS)
        assert message.get_content_type() == "text/plain"
        # The end of a mail's data stands alone on a line; what sends it doubles such dots.
        assert "eve" not in str(message["To"])
        # A cell of a table would begin with it: our lines never do.
        assert not any(line.startswith("=cmd") for line in message.get_content().splitlines())
        assert not str(message["Subject"]).startswith(("=", "+", "-", "@"))
        assert b"\n" not in raw.replace(b"\r\n", b"")


@pytest.mark.parametrize(
    "address",
    [
        "user@example.org\r\nBcc: eve@example.org",
        "user@example.org, eve@example.org",
        "user@example.org>\r\nRCPT TO:<eve@example.org",
        "=cmd@example.org\n",
        "user@example.org\0",
    ],
)
def test_an_address_that_is_more_than_one_gets_nothing(address):
    assert [str(m["To"]) for m, _ in mails(issue(), {"d-one": address})] == [OPERATOR]


def test_the_honest_way_works():
    found = [str(message["To"]) for message, _ in mails(issue(), {"d-one": USER})]
    assert found == [OPERATOR, USER]
