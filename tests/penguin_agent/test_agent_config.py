"""Settings: defaults, bounds, and an error that names what is wrong."""

from datetime import timedelta

import pytest

from penguin_agent.config import load
from penguindome.errors import InvalidInput, NotFound


@pytest.fixture
def write(tmp_path):
    def write(text):
        path = tmp_path / "agent.toml"
        path.write_text(text)
        return path

    return write


def test_an_empty_file_gives_the_defaults(write):
    settings = load(write(""))
    assert settings.schedule.collect_interval == timedelta(minutes=5)
    assert settings.schedule.submit_interval == timedelta(minutes=1)
    assert settings.allow.shell
    assert not settings.failpoints


def test_dropins_win(write, tmp_path):
    path = write("[schedule]\ncollect_interval_minutes = 7\n[plugins]\nanything = 1\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/10-site.toml").write_text(
        "[schedule]\ncollect_interval_minutes = 9\n[schedule.plugin_interval_minutes]\ndisks = 60\n"
    )
    settings = load(path)
    assert settings.schedule.collect_interval == timedelta(minutes=9)
    assert settings.schedule.plugin_intervals == {"disks": timedelta(hours=1)}
    assert settings.paths.settings == path


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[schedule]\ncollect_interval_minutes = 0\n", "between"),
        ("[schedule]\ncollect_interval_minutes = 1441\n", "between"),
        ("[schedule]\ncollect_intervall_minutes = 5\n", "Did you mean"),
        ("[schedule.plugin_interval_minutes]\n'../x' = 5\n", "plugin"),
        ("[schedule.plugin_interval_minutes]\ndisks = 'often'\n", "duration"),
        ("[allow]\nshell = 'no'\n", "true or false"),
        ("[run]\nparallel = 1000\n", "between"),
        ("[paths]\nstate_dir = 'here'\n", "absolute"),
        ("[nonsense]\n", "unknown"),
        ("[schedule\n", "TOML"),
    ],
)
def test_a_wrong_setting_is_named(write, text, word):
    path = write(text)
    with pytest.raises(InvalidInput) as caught:
        load(path)
    assert word in caught.value.text()


def test_a_file_that_was_asked_for_must_exist(tmp_path):
    with pytest.raises(NotFound):
        load(tmp_path / "missing.toml")
