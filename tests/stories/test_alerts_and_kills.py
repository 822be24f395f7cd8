"""penguind is killed while it sends alerts: every mail arrives, and none under two ids."""

import os
from collections import Counter

import pytest

from tests.harness.fleet import Fleet
from tests.harness.mail_server import PASSWORD, USER, mail_server
from tests.harness.process import wait_until
from tests.harness.server import NOBODY
from tests.harness.site_certificate import SiteCertificate
from tests.harness.time_travel import Time

pytestmark = pytest.mark.timeout(240)

PEOPLE = [f"admin{number}@example.org" for number in range(20)]
# Longer than one try of a mail may last; what was being sent then is tried again.
LATER = 15 / (24 * 60)
SETTINGS = """
[alerts]
mail_from = "penguind@example.org"
mail_to = {people}
look_seconds = 1
[alerts.smtp]
host = "127.0.0.1"
port = {port}
username = "{user}"
password_file = "{password}"
ca_file = "{ca}"
timeout_seconds = 20
"""


class Killer(list):
    """What a mail server has taken; kills penguind before one mail and in the middle of another."""

    def __init__(self):
        super().__init__()
        self.server = None
        self.before, self.after = 5, 12
        self.deaths = 0
        self.unanswered = ""

    def failing(self):
        """Kill before the mail is handed over."""
        if self.deaths == 0 and len(self) == self.before:
            self._strike()
        return ""

    def append(self, mail):
        """Take a mail, whose sender may not live to hear of it."""
        super().append(mail)
        if self.deaths == 1 and len(self) == self.after:
            self.unanswered = mail.message_id
            self._strike()

    def again(self):
        """Tell whether the mail whose answer was lost came once more."""
        return sum(one.message_id == self.unanswered for one in self) == 2

    def _strike(self):
        self.server.process.kill()
        self.deaths += 1


@pytest.fixture
def certificate(tmp_path_factory):
    return SiteCertificate(tmp_path_factory.mktemp("site"))


@pytest.fixture
def mail(certificate):
    with mail_server(certificate) as server:
        server.received = Killer()
        server.failing = server.received.failing
        yield server


@pytest.fixture
def fleet(certificate, mail, tmp_path_factory):
    folder = tmp_path_factory.mktemp("mail")
    password, ca = folder / "password", folder / "ca"
    password.write_text(PASSWORD, encoding="utf-8")
    password.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(password, NOBODY, NOBODY)
    ca.write_bytes(certificate.root_pem)
    settings = SETTINGS.format(people=PEOPLE, port=mail.port, user=USER, password=password, ca=ca)
    with Fleet(settings=settings) as running:
        mail.received.server = running.server
        yield running


@pytest.fixture
def time(fleet):
    return Time(fleet.folder)


def arrived(mails):
    return {one.recipients[0] for one in mails if "fan-noisy" in one.text} == set(PEOPLE)


def test_two_kills_lose_no_mail_and_send_none_under_two_ids(fleet, time, mail):
    taken = mail.received
    agent = fleet.device()
    agent.enroll(fleet.alice.token())
    words = ("--name", "fan-noisy", "--severity", "critical", "--reason", "it rattles")
    fleet.alice.run("issue", "open", agent.device_id(), *words)
    for deaths in (1, 2):
        wait_until(lambda wanted=deaths: taken.deaths == wanted, 60, "nothing was sent")
        time.go(deaths * LATER)
        fleet.server.environment_more = time.environment()
        fleet.server.start()
    wait_until(lambda: arrived(taken) and taken.again(), 60, "a mail is missing")
    ours = [one for one in taken if "fan-noisy" in one.text]
    ids = Counter(one.message_id for one in ours)
    assert len({(one.message_id, one.recipients[0]) for one in ours}) == len(ids) == len(PEOPLE)
    # Only the mail whose answer was lost came twice, and to the letter.
    assert {one for one, times in ids.items() if times > 1} == {taken.unanswered}
    assert len({one.raw for one in ours}) == len(ids)
    assert "Traceback" not in fleet.server.log()
