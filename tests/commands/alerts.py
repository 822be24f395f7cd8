"""The life of alerts, through the installed command and a mail server."""

import os

from tests.harness.mail_server import PASSWORD, USER, mail_server
from tests.harness.process import wait_until
from tests.harness.server import NOBODY
from tests.harness.site_certificate import SiteCertificate

_SETTINGS = """
[alerts]
mail_from = "penguind@example.org"
mail_to = ["ops@example.org"]
look_seconds = 1
[alerts.smtp]
host = "127.0.0.1"
port = {port}
username = "{user}"
password_file = "{folder}/password"
ca_file = "{folder}/ca"
timeout_seconds = 5
"""


def live(fleet, alice, device, both):
    """Switch mail on, and see, preview, test and retry what is sent."""
    folder = fleet.server.folder / "mail"
    folder.mkdir()
    certificate = SiteCertificate(folder)
    (folder / "ca").write_bytes(certificate.root_pem)
    (folder / "password").write_text(PASSWORD, encoding="utf-8")
    (folder / "password").chmod(0o600)
    if os.geteuid() == 0:
        os.chown(folder / "password", NOBODY, NOBODY)
    before = fleet.server.config.read_text(encoding="utf-8")
    with mail_server(certificate) as mail:
        added = _SETTINGS.format(port=mail.port, user=USER, folder=folder)
        fleet.server.config.write_text(before + added, encoding="utf-8")
        fleet.server.stop()
        fleet.server.start()
        _see(alice, device, both, mail)
    fleet.server.config.write_text(before, encoding="utf-8")
    fleet.server.stop()
    fleet.server.start()
    # A device whose server went twice within seconds pauses longer before it is back.
    back = lambda: alice.json("device", "show", device)["device"]["connected"]  # noqa: E731
    wait_until(back, 60, "the device is not back")


def _see(alice, device, both, mail):
    assert both(alice, "alert", "test", "mail", "--to", "ann@example.org")["sent"] is True
    assert "Sent: ops@example.org: 250 taken" in alice.run("alert", "test", "mail")
    mail.failing = lambda: "rcpt-550"
    assert "Not sent" in alice.run("alert", "test", "mail", status=1)
    words = ("--name", "fan-noisy", "--severity", "high", "--reason", "it rattles")
    alice.run("issue", "open", device, *words)
    alice.run("issue", "open", device, "--name", "fan-dusty", "--severity", "low")
    failed = ("alert", "list", "--state", "failed")
    wait_until(lambda: alice.json(*failed)["alerts"], 20, "no alert failed")
    assert "nobody" in alice.run("alert", "list")
    previewed = both(alice, "alert", "preview")["alerts"]
    assert any("fan-dusty" in one["text"] for one in previewed)
    assert "fan-dusty" in alice.run("alert", "preview")
    mail.failing = lambda: ""
    assert both(alice, "alert", "retry")["alerts"] in {0, 1}
    sent = ("alert", "list", "--state", "sent", "--limit", "5", "--columns", "state,subject")
    wait_until(lambda: alice.json(*sent)["alerts"], 20, "no alert was sent")
    assert len(both(alice, "alert", "list", "--sort", "-created_time")["alerts"]) >= 1
    _mail_users(alice, device)
    alice.run("issue", "close", "--all", "--name", "fan-*", "--reason", "repaired")


def _mail_users(alice, device):
    """Mail a device's user of what an audit finds."""
    alice.run("param", "set", device, "user_email", "ann@example.org")
    words = ("issue", "audit", device, "--full", "--no-update-recent", "--mail-users")
    assert "Mails to users: 1." in alice.run(*words)
    sent = ("alert", "list", "--state", "sent")

    def told():
        return [one for one in alice.json(*sent)["alerts"] if one["kind"] == "user"]

    wait_until(told, 20, "no mail went to the user")
    assert [one["recipient"] for one in told()] == ["ann@example.org"]
    alice.run("param", "unset", device, "user_email")
