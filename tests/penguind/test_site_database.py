"""A MongoDB of the site's own: with logins and TLS, and everything that may be wrong with it."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from unittest import mock

import pytest
from pymongo.errors import ConfigurationError

from penguind.store import opening
from penguind.store.database import _check_server, open_database
from penguind.store.opening import opening_errors
from penguindome.errors import PenguinDomeError, PreconditionFailed
from tests.harness.server import NOBODY, server_not_set_up
from tests.harness.site_mongod import PASSWORD, SET, SiteMongod


@pytest.fixture(scope="module")
def mongod():
    with SiteMongod(secure=True) as running:
        yield running


@pytest.fixture
def server():
    with server_not_set_up() as made:
        yield made


def secret(server, text=PASSWORD):
    path = server.folder / "password"
    path.write_text(text + "\n")
    path.chmod(0o600)
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY)
    return path


def setup(server, uri, password=PASSWORD, **options):
    words = ["setup", "--yes", "--state-dir", server.folder / "state", "--operator", "alice"]
    words += ["--address", "127.0.0.1", "--advertised-host", "127.0.0.1", "--database-uri", uri]
    words += ["--main-port", server.main_port, "--bootstrap-port", server.bootstrap_port]
    if password is not None:
        words += ["--database-username", "penguind"]
        words += ["--database-password-file", secret(server, password)]
    for name, value in options.items():
        words += [f"--database-{name.replace('_', '-')}", value]
    return server.try_run(*words)


def refused(done, *expected, began, seconds=25):
    assert time.monotonic() - began < seconds
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (said,) = done.stderr.strip().splitlines()
    assert said.startswith("penguind: ")
    assert " — " in said, said
    for word in expected:
        assert word in said, said
    assert PASSWORD not in said


def good(mongod, **changes):
    return {"tls_ca_file": mongod.folder / "ca.pem", "replica_set": SET, **changes}


@pytest.mark.parametrize(
    ("changes", "password", "expected"),
    [
        ({}, "wrong", ["refuses our login", "password_file"]),
        ({"tls_ca_file": "other-ca.pem"}, PASSWORD, ["certificate", "tls_ca_file"]),
        ({"tls_ca_file": "log"}, PASSWORD, ["/log", "authority"]),
        ({"tls_ca_file": "nothing"}, PASSWORD, ["nothing", "authority"]),
        ({"replica_set": "other"}, PASSWORD, ["replica set", "other"]),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_made(mongod, server, changes, password, expected):
    if "tls_ca_file" in changes:
        changes = {"tls_ca_file": mongod.folder / changes["tls_ca_file"]}
    began = time.monotonic()
    done = setup(server, mongod.uri, password, **good(mongod, **changes))
    refused(done, *expected, began=began)
    assert not (server.folder / "state").exists()
    assert not server.config.exists()


def test_tls_that_is_forgotten_is_hinted_at(mongod, server):
    began = time.monotonic()
    refused(setup(server, mongod.uri, replica_set=SET), "tls_ca_file", began=began)


def test_a_server_that_became_wrong_is_named_at_the_start(mongod, server):
    assert setup(server, mongod.uri, **good(mongod)).returncode == 0
    stored = server.folder / "state/database-password"
    stored.write_text("other\n")
    began = time.monotonic()
    refused(server.try_run("run"), "refuses our login", began=began)
    stored.unlink()
    refused(server.try_run("run"), str(stored), began=began)
    refused(server.try_run("operator", "invite", "bob"), str(stored), began=began)


def test_a_standalone_server_is_refused(server, monkeypatch):
    with SiteMongod(replica_set="") as mongod:
        began = time.monotonic()
        refused(setup(server, mongod.uri, None), "not a replica set", "one member", began=began)
        said = opened(mongod.uri, monkeypatch, replica_set=SET)
        assert "no member of a replica set named 'site'" in said


def test_a_set_that_was_never_initiated_is_refused(monkeypatch):
    with SiteMongod() as mongod:
        mongod.stop()
        shutil.rmtree(mongod.folder / "data")
        mongod.start()
        assert "not a replica set" in opened(mongod.uri, monkeypatch)
        assert "no member of a replica set" in opened(mongod.uri, monkeypatch, replica_set=SET)


def test_nobody_there_is_said_in_time(server):
    began = time.monotonic()
    done = setup(server, "mongodb://127.0.0.1:1/", None)
    refused(done, "127.0.0.1:1", "Errno 111", "database.uri", began=began)


def opened(uri, monkeypatch, **options):
    """Open a database that cannot be opened, in a hurry; return what is said."""
    monkeypatch.setattr(opening, "_OPENING_SECONDS", 2)
    with pytest.raises(PenguinDomeError) as caught:
        asyncio.run(open_database(uri, "t_refused", **options))
    assert caught.value.remedy
    assert PASSWORD not in caught.value.text()
    return caught.value.text()


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("mongodb://no-such-host.invalid/", "no-such-host.invalid"),
        ("mongodb+srv://no-such-host.invalid/", "not usable"),
        ("http://h/", "mongodb://"),
        ("mongodb://u:p:w@h/", "must be escaped"),
    ],
)
def test_an_address_that_leads_nowhere_is_named(uri, expected, monkeypatch):
    said = opened(uri, monkeypatch)
    assert expected in said
    assert "database.uri" in said


def test_one_that_is_too_old_is_refused(mongod):
    async def story():
        database = await open_database(mongod.full_uri, "t_old")
        hello = await database.client.admin.command("hello")
        await database.close()
        return hello

    hello = asyncio.run(story())
    _check_server(hello)
    # What 5.0 says of itself where 6.0 says 17.
    with pytest.raises(PreconditionFailed, match="too old"):
        _check_server(hello | {"maxWireVersion": 13})


def test_one_that_the_driver_itself_finds_too_old_is_refused():
    # The words of PyMongo 4.20 for a server of 2013.
    words = "Server at h:1 reports wire version 2, but this version of PyMongo requires at least 8"
    with pytest.raises(PreconditionFailed, match="too old"), opening_errors(mock.Mock()):
        raise ConfigurationError(words)


def test_one_that_says_nothing_is_given_up(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        uri = f"mongodb://127.0.0.1:{listener.getsockname()[1]}/"
        assert "does not answer" in opened(uri, monkeypatch)


def test_a_login_in_the_address_works_too(mongod):
    async def story():
        database = await open_database(mongod.full_uri, "t_address")
        await database.close()
        with pytest.raises(PreconditionFailed, match="login"):
            await open_database(mongod.full_uri.replace("penguind:", "penguin:"), "t_address")

    asyncio.run(story())
