"""The doctor: each check alone, in bounded time, and telling the truth about broken servers."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta

import pytest

from penguind.config import load_settings
from penguind.console import open_external
from penguind.doctor import running as module
from penguind.doctor.checks import CHECKS
from penguind.doctor.running import Finding, examine, fail, ok, warn, worst
from penguind.store.all import missing_indexes, open_stores
from penguind.store.backup_notes import BackupNotes
from penguindome.times import utc_now
from tests.harness.database import fresh_database
from tests.harness.mail_server import mail_server
from tests.harness.process import wait_until
from tests.harness.serving import running
from tests.harness.site_certificate import SiteCertificate


def found(path, *names):
    """Run checks on a settings file; return (status, text) by name."""
    table = {name: CHECKS[name] for name in names or CHECKS}
    return {one.name: (one.status, one.found) for one in examine(table, path, full=False)}


@pytest.fixture
def set_up(mongo_uri):
    """Yield a function that runs a story on a server whose database is the tests' own."""

    def play(story):
        async def with_server():
            async with running(mongo_uri) as server:
                path = server.settings.path
                name = server.database.db.name
                text = path.read_text().replace('name = "penguindome"', f'name = "{name}"')
                path.write_text(text.replace("[database]", f'[database]\nuri = "{mongo_uri}"'))
                assert load_settings(path).database.name == name
                await asyncio.to_thread(story, path, server)

        asyncio.run(with_server())

    return play


def test_a_check_that_crashes_hides_no_other(tmp_path):
    def broken(_examination):
        return 1 / 0

    table = {"broken": broken, "well": lambda _: ok("well")}
    first, second = examine(table, tmp_path / "none.toml", full=False)
    assert (first.status, "ZeroDivisionError (broken:" in first.found) == ("fail", True)
    assert second.status == "ok"


def test_a_check_that_hangs_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LIMIT_SECONDS", 0.1)
    started = time.monotonic()
    (outcome,) = examine({"slow": lambda _: time.sleep(2)}, tmp_path / "none", full=False)
    assert (outcome.status, time.monotonic() - started < 1) == ("fail", True)


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([], "ok"),
        ([ok("")], "ok"),
        ([ok(""), warn("", "")], "warn"),
        ([fail("", ""), warn("", ""), ok("")], "fail"),
    ],
)
def test_the_worst_decides(findings, status):
    outcomes = [module.Outcome("x", one.status, "", "") for one in findings]
    assert worst(outcomes) == status
    assert isinstance(ok(""), Finding)


def test_without_settings_the_first_check_says_so_and_the_others_crash_not(tmp_path):
    said = found(tmp_path / "none.toml")
    assert said.pop("settings") == ("fail", f"{tmp_path}/none.toml: there is no settings file")
    assert "crashed" not in str(said)
    assert said["database"] == ("warn", "not examined: the settings cannot be read")


def test_a_well_server_has_nothing_broken(set_up):
    def story(path, _server):
        said = found(path)
        broken = {name: one for name, one in said.items() if one[0] == "fail"}
        assert broken == {}
        assert said["ports"] == ("ok", "2 listeners answer with our certificate")
        assert said["database"][1].startswith("MongoDB ")

    set_up(story)


def test_loose_files_lost_keys_and_strangers_on_ports_are_found(set_up):
    def story(path, server):
        keys = server.settings.server.state_dir / "authority"
        key = next(keys.glob("device-ca*-key.pem"))
        key.chmod(0o644)
        assert f"{key} has mode 0644" in found(path, "secret-files")["secret-files"][1]
        key.rename(key.with_suffix(".gone"))
        status, text = found(path, "authorities")["authorities"]
        assert (status, str(key) in text) == ("fail", True)
        (keys / "anchor.pem").rename(keys / "elsewhere")
        (keys / "anchor.pem").write_bytes(next(keys.glob("operator-ca.pem")).read_bytes())
        said = found(path, "ports", "certificates")
        assert {status for status, _ in said.values()} == {"fail"}
        assert "another program has the port" in said["ports"][1]

    set_up(story)


def test_missing_indexes_are_named(mongo_uri):
    async def story():
        async with fresh_database(mongo_uri) as database:
            await open_stores(database, "f")
            assert await missing_indexes(database) == []
            await database.db["trail"].drop_indexes()
            assert "trail (received_time, _id)" in await missing_indexes(database)

    asyncio.run(story())


def test_a_changed_ledger_an_old_backup_and_a_backlog_are_told(set_up):
    def story(path, server):
        async def spoil():
            async with await open_external(load_settings(path).database) as database:
                await BackupNotes(database).note(utc_now() - timedelta(days=30))
                old = {"state": "waiting", "created_time": utc_now() - timedelta(hours=3)}
                await database.db["outbox"].insert_one({"_id": "a", **old})
                await database.db["ledger"].insert_one(forged())

        asyncio.run(spoil())
        said = found(path, "ledger", "backups", "outbox")
        assert said["ledger"][0] == "fail"
        assert said["backups"] == ("warn", "the last backup was made 30d ago")
        assert "1 alerts wait, one for 3h" in said["outbox"][1]
        assert server.settings.path == path

    set_up(story)


def forged():
    return {
        "_id": 1,
        "time_unix_ms": 0,
        "actor": "operator/mallory",
        "action": "nothing",
        "target": "",
        "details": b"{}",
        "previous_hash": bytes(32),
        "hash": bytes(32),
    }


SMTP = """
[server]
state_dir = "{folder}"
[alerts]
mail_from = "penguind@example.com"
mail_to = ["ops@example.com"]
[alerts.smtp]
host = "127.0.0.1"
port = {port}
ca_file = "{authority}"
"""


def test_the_mail_server_is_greeted_and_nothing_is_sent(tmp_path):
    certificate = SiteCertificate(tmp_path)
    path = tmp_path / "penguind.toml"
    with mail_server(certificate) as server:
        text = SMTP.format(folder=tmp_path, port=server.port, authority=certificate.certificate)
        path.write_text(text)
        assert found(path, "alerts")["alerts"] == (
            "ok",
            f"the mail server 127.0.0.1:{server.port} answers",
        )
        assert server.connections == 1
        assert server.received == []
        # The doctor hung up; the server notices a moment later, and only then can be ended.
        wait_until(lambda: not server._open, 5, "the connection stays open")
    assert found(path, "alerts")["alerts"][0] == "fail"
