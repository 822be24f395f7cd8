from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from penguind.config import load_settings
from penguind.console import database_uri
from penguindome.errors import InvalidInput, NotFound


def settings(tmp_path, text):
    path = tmp_path / "penguind.toml"
    path.write_text(text)
    return load_settings(path)


def test_an_empty_file_means_the_documented_defaults(tmp_path):
    found = settings(tmp_path, "")
    assert found.server.state_dir == Path("/var/lib/penguind")
    assert (found.server.user, found.listen.main_port) == ("penguind", 7443)
    assert found.listen.certificate == Path("/var/lib/penguind/tls/server.pem")
    assert found.database.embedded
    assert found.audit_interval == timedelta(hours=1)
    assert found.agents.submit_interval == timedelta(minutes=1)
    assert found.limits.reports_per_minute == 12
    assert found.logging.handler == "stderr"


def test_everything_that_is_set_is_read(tmp_path):
    found = settings(
        tmp_path,
        """
        [listen]
        main_port = 1000
        advertised_main_port = 443
        certificate = "/c"
        key = "/k"
        [database]
        uri = "mongodb://u:p@h/"
        password_file = "/p"
        [agents]
        collect_interval_minutes = 7
        [agents.plugin_interval_minutes]
        lspci = 60
        [checks]
        directory = "/checks"
        """,
    )
    assert (found.listen.main_port, found.listen.advertised_main_port) == (1000, 443)
    assert found.listen.advertised_bootstrap_port == 7444
    assert (found.listen.certificate, found.listen.key) == (Path("/c"), Path("/k"))
    assert found.has_secret()
    assert not found.database.embedded
    assert found.agents.plugin_intervals == {"lspci": timedelta(hours=1)}
    assert found.checks_directory == Path("/checks")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[server]\nfleetid = 'x'", "fleetid"),
        ("[listen]\nmain_port = 0", "main_port"),
        ("[listen]\nmain_port = 7444", "main and bootstrap both use port 7444"),
        ("[listen]\ncertificate = '/c'", "key"),
        ("[audit]\ninterval_minutes = 0", "interval_minutes"),
        ("[agents]\ncollect_interval_minutes = 0", "collect_interval_minutes"),
        ("[agents.plugin_interval_minutes]\nx = 'often'", "x"),
        ("[listen", "TOML"),
        ("[typo]\nx = 1", "typo"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, said):
    with pytest.raises(InvalidInput) as caught:
        settings(tmp_path, text)
    assert said in caught.value.text()


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises((InvalidInput, NotFound)) as caught:
        load_settings(tmp_path / "none.toml")
    assert "penguind setup" in caught.value.text()


@pytest.mark.parametrize(
    ("uri", "whole"),
    [
        ("mongodb://a,b", "mongodb://a,b/?replicaSet=rs"),
        ("mongodb://a/", "mongodb://a/?replicaSet=rs"),
        ("mongodb://a/admin?tls=true", "mongodb://a/admin?tls=true&replicaSet=rs"),
        ("mongodb://a/?replicaSet=x", "mongodb://a/?replicaSet=x"),
    ],
)
def test_the_replica_sets_name_joins_the_address(tmp_path, uri, whole):
    found = settings(tmp_path, f'[database]\nuri = "{uri}"\nreplica_set = "rs"')
    assert database_uri(found.database) == whole
