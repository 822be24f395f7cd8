"""The settings file, changed as a person would."""

from __future__ import annotations

import pytest

from penguind.settings_file import SettingsFile
from penguindome.errors import InvalidInput, PreconditionFailed


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "penguind.toml"
    path.write_text("[listen]\nmain_port = 20001\n")
    return path


def test_a_change_by_another_is_not_undone(config):
    file = SettingsFile(config)
    file.set(("listen",), "main_port", 30000)
    with pytest.raises(PreconditionFailed, match="changed by somebody else"), file.changed():
        config.write_text(config.read_text() + "# mine\n")
    assert "# mine" in config.read_text()
    assert "30000" not in config.read_text()


def test_settings_that_are_no_toml_are_named(config):
    config.write_text("[listen")
    with pytest.raises(InvalidInput, match="not TOML"):
        SettingsFile(config)


def test_tables_are_made_and_go_when_they_are_empty(config):
    config.write_text("[server]\nuser = 'nobody' # who\n")
    file = SettingsFile(config)
    file.set(("listeners", "a"), "kind", "main")
    file.set(("listeners", "a"), "port", 1)
    with file.changed() as settings:
        assert [one.name for one in settings.listeners] == ["main", "bootstrap", "a"]
    file = SettingsFile(config)
    file.drop(("listeners", "a"), "kind")
    file.drop(("listeners", "a"), "port")
    file.drop(("none", "such"), "key")
    with file.changed():
        pass
    assert config.read_text().split() == ["[server]", "user", "=", "'nobody'", "#", "who"]
