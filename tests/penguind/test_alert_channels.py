"""Mail and webhooks against a real mail server and a real receiver, which fail in every way."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from penguind.alerts.mail import MailChannel
from penguind.alerts.webhook import WebhookChannel
from penguind.config_alerts import AlertSettings, SmtpSettings, WebhookSettings
from penguind.domain.alert_plan import Audience, planned
from penguind.domain.check import SEVERITIES
from tests.harness import hook_server as hooks
from tests.harness import mail_server as mails
from tests.harness.site_certificate import SiteCertificate
from tests.penguind.test_alert_rules import FLEET, NOW, issue


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificate")
    made = SiteCertificate(folder)
    made.ca = folder / "root.pem"
    made.ca.write_bytes(made.root_pem)
    return made


@pytest.fixture(scope="module")
def password(tmp_path_factory):
    path = tmp_path_factory.mktemp("secret") / "password"
    path.write_text(mails.PASSWORD + "\nnot this line\n", encoding="utf-8")
    return path


def settings(server, certificate, password, **changes):
    smtp = SmtpSettings(
        host="127.0.0.1",
        port=server.port,
        username=mails.USER,
        password_file=password,
        ca_file=certificate.ca,
        timeout_seconds=2,
    )
    return AlertSettings(mail_from="penguind@example.org", smtp=replace(smtp, **changes))


def mail_alert(text="Hello\n.\nwörld\n"):
    one = planned([issue(hostname="wéb")], Audience(FLEET, ("ann@example.org",)), NOW)[0]
    return replace(one, text=text)


def tried(server, certificate, password, count=1, **changes):
    """Return what comes of some tries over one channel."""

    async def run():
        channel = MailChannel(settings(server, certificate, password, **changes), FLEET, "here")
        found = [await channel.send(mail_alert(), NOW) for _ in range(count)]
        await channel.rest()
        return found

    return asyncio.run(run())


def test_mail_is_encrypted_logged_in_and_several_share_a_connection(certificate, password):
    with mails.mail_server(certificate) as server:
        outcomes = tried(server, certificate, password, count=3)
        assert {one.result for one in outcomes} == {"sent"}
        assert server.connections == 1
        one = server.received[0]
        assert one.encrypted
        assert (one.sender, one.recipients) == ("penguind@example.org", ["ann@example.org"])
        assert one.text.replace("\r\n", "\n") == "Hello\n.\nwörld\n"
        assert one.message["Subject"] == "PenguinDome: high: wéb: firewall-disabled"


def test_mail_over_implicit_tls_and_over_a_loopback_without(certificate, password):
    nobody = {"username": "", "password_file": None}
    with mails.mail_server(certificate, implicit_tls=True) as server:
        (outcome,) = tried(server, certificate, password, security="tls", **nobody)
        assert outcome.result == "sent", outcome
    with mails.mail_server(certificate) as server:
        server.plain = True
        (outcome,) = tried(server, certificate, password, security="none", **nobody)
        assert outcome.result == "sent", outcome


def test_mail_is_never_sent_without_the_encryption_that_is_demanded(certificate, password):
    with mails.mail_server(certificate) as server:
        server.plain = True
        (outcome,) = tried(server, certificate, password)
        assert (outcome.result, outcome.channel_down) == ("again", True)
        assert "STARTTLS" in outcome.answer
        assert server.received == []


def test_a_mail_server_of_another_authority_gets_nothing(certificate, password):
    with mails.mail_server(certificate) as server:
        for security in ("starttls", "tls"):
            (outcome,) = tried(server, certificate, password, ca_file=None, security=security)
            assert (outcome.result, outcome.channel_down) == ("again", True)
        assert server.received == []


def test_a_wrong_or_missing_password_is_a_problem_of_the_channel(certificate, tmp_path):
    with mails.mail_server(certificate) as server:
        wrong = tmp_path / "wrong"
        wrong.write_text("guess")
        (outcome,) = tried(server, certificate, wrong)
        assert outcome.channel_down
        assert outcome.answer.startswith("127.0.0.1: 535")
        (outcome,) = tried(server, certificate, tmp_path / "missing")
        assert outcome.channel_down
        assert "missing" in outcome.answer


@pytest.mark.parametrize("failure", [*mails.FAILURES, *mails.FOR_GOOD])
def test_each_failure_of_a_mail_server(certificate, password, failure):
    with mails.mail_server(certificate) as server:
        left = [failure] if "connection" in failure else ["", failure]
        server.failing = lambda: left.pop(0) if left else ""
        (first,) = tried(server, certificate, password)
        assert first.result == ("refused" if failure in mails.FOR_GOOD else "again")
        assert first.answer.isprintable()
        assert first.perhaps_delivered == (failure in {"drop-at-data", "drop-after-data"})
        assert first.channel_down == (failure.startswith("mail-") or "connection" in failure)
        assert tried(server, certificate, password)[0].result == "sent"
        again = 2 if failure == "drop-after-data" else 1
        assert len(server.received) == again
        assert len({one.raw for one in server.received}) <= again


def test_a_mail_server_that_hangs_is_given_up(certificate, password):
    with mails.mail_server(certificate) as server:
        server.failing = lambda: "hang"
        (outcome,) = tried(server, certificate, password, timeout_seconds=1)
        assert outcome.channel_down
        assert "timed out" in outcome.answer


def test_stopping_does_not_wait_for_a_mail_server_that_hangs(certificate, password):
    async def run(server):
        channel = MailChannel(settings(server, certificate, password), FLEET, "here")
        task = asyncio.ensure_future(channel.send(mail_alert(), NOW))
        await asyncio.sleep(0.3)
        start = asyncio.get_running_loop().time()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        return asyncio.get_running_loop().time() - start

    with mails.mail_server(certificate) as server:
        server.failing = lambda: "hang"
        assert asyncio.run(run(server)) < 1


def test_a_mail_server_whose_challenge_is_garbage_is_no_end_of_ours(tmp_path):
    secret = tmp_path / "ascii-password"
    secret.write_text("secret")
    answers = iter([b"250-here\r\n250 AUTH CRAM-MD5\r\n", b"334 A\r\n", b"221 bye\r\n"])

    async def serve(reader, writer):
        writer.write(b"220 here\r\n")
        while await reader.readline():
            writer.write(next(answers, b"500 no\r\n"))
        writer.close()

    async def run():
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            smtp = SmtpSettings(
                host="127.0.0.1", port=port, security="none", username="ann", password_file=secret
            )
            given = AlertSettings(mail_from="penguind@example.org", smtp=smtp)
            return await MailChannel(given, FLEET, "here").send(mail_alert(), NOW)

    outcome = asyncio.run(run())
    assert outcome.result == "again"
    assert outcome.channel_down


@pytest.mark.parametrize("host", ["mail..example", ".example", "x" * 70])
def test_a_host_that_is_no_name_is_a_problem_of_the_channel(tmp_path, host):
    (tmp_path / "secret").write_bytes(hooks.SECRET)
    smtp = SmtpSettings(host=host, timeout_seconds=2)
    given = AlertSettings(mail_from="penguind@example.org", smtp=smtp)
    url, secret = f"https://{host}/x", tmp_path / "secret"
    hook = WebhookSettings(name="x", url=url, secret_file=secret, severities=frozenset(SEVERITIES))
    for channel in (MailChannel(given, FLEET, "here"), WebhookChannel(hook)):
        outcome = asyncio.run(channel.send(mail_alert(text="{}"), NOW))
        assert (outcome.result, outcome.channel_down) == ("again", True)


def test_a_connection_that_died_in_the_meantime_is_opened_again(certificate, password):
    async def run(server):
        channel = MailChannel(settings(server, certificate, password), FLEET, "here")
        first = await channel.send(mail_alert(), NOW)
        server.cut()
        second = await channel.send(mail_alert(), NOW)
        await channel.rest()
        return first.result, second.result, server.connections

    with mails.mail_server(certificate) as server:
        assert asyncio.run(run(server)) == ("sent", "sent", 2)


def posted(server, certificate, tmp_path, *, secret=hooks.SECRET, count=1, **changes):
    """Return what comes of posting the same alert some times."""
    path = tmp_path / "hook-secret"
    path.write_bytes(secret + b"\n")
    values = {
        "name": "chat",
        "url": server.url,
        "secret_file": path,
        "severities": frozenset(SEVERITIES),
        "ca_file": certificate.ca,
        "timeout_seconds": 2,
    }
    channel = WebhookChannel(WebhookSettings(**{**values, **changes}))
    alert = planned([issue()], Audience(FLEET, hooks={"chat": frozenset({"high"})}), NOW)[0]

    async def run():
        return [await channel.send(alert, NOW) for _ in range(count)]

    return asyncio.run(run())


def test_a_webhook_gets_signed_json(certificate, tmp_path):
    with hooks.hook_server(certificate) as server:
        assert [one.result for one in posted(server, certificate, tmp_path, count=2)] == [
            "sent",
            "sent",
        ]
        first, second = server.received
        assert first == second
        assert first["schema"] == "penguindome.alert/1"
        assert first["device"] == {"device_id": "d-one", "hostname": "one"}
        assert [one["name"] for one in first["issues"]] == ["firewall-disabled"]
        assert server.headers[0]["PenguinDome-Timestamp"] == str(int(NOW.timestamp()))
        assert server.headers[0]["Content-Type"] == "application/json"
        assert server.wrong == 0


def test_a_webhook_with_another_secret_is_not_believed(certificate, tmp_path):
    with hooks.hook_server(certificate) as server:
        posted(server, certificate, tmp_path, secret=b"another secret, long")
        assert (server.received, server.wrong) == ([], 1)
        (outcome,) = posted(server, certificate, tmp_path, secret=b"short")
        assert outcome.channel_down
        assert "shorter than 16 bytes" in outcome.answer


@pytest.mark.parametrize(
    ("failure", "result"),
    [
        ("302", "refused"),
        ("400", "refused"),
        ("404", "refused"),
        ("408", "again"),
        ("429", "again"),
        ("500", "again"),
        ("503", "again"),
        ("drop-before", "again"),
        ("drop-after", "again"),
    ],
)
def test_each_failure_of_a_webhook(certificate, tmp_path, failure, result):
    with hooks.hook_server(certificate) as server:
        server.failing = lambda: failure
        (outcome,) = posted(server, certificate, tmp_path)
        assert outcome.result == result
        assert outcome.perhaps_delivered == failure.startswith("drop")
        # A redirect would have led to a second request.
        assert server.tries == [failure]


def test_a_webhook_of_another_authority_and_a_closed_port(certificate, tmp_path):
    with hooks.hook_server(certificate) as server:
        (outcome,) = posted(server, certificate, tmp_path, ca_file=None)
        assert (outcome.result, outcome.channel_down) == ("again", True)
        assert server.tries == []
    (outcome,) = posted(server, certificate, tmp_path)
    assert outcome.channel_down


def test_proxies_of_the_environment_are_not_used(certificate, tmp_path, monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert os.environ["https_proxy"]
    with hooks.hook_server() as server:
        assert posted(server, certificate, tmp_path)[0].result == "sent"
