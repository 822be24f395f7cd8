from __future__ import annotations

import json as plain_json
import os
import pwd
import subprocess
import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penguindome
from penguindome import client, json, plugin_cache, plugin_tools

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
PLUGIN = """
import sys
import penguindome
heavy = {"grpc", "cryptography", "psutil", "logbook", "google.protobuf"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
from penguindome import cached_data, json, var_dir
from penguindome.client import get_logger, get_setting
get_logger("plugin").info("hello {}", "a\\nb")
cached_data("key", {"a": {}}, add_timestamp=True)
print(json.dumps({"var": var_dir, "interval": get_setting("schedule:collect_interval"),
                  "mine": get_setting("mine:deep", 7), "cached": cached_data("key")}))
"""


@pytest.fixture
def var(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PD_VAR_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("settings", "interval", "mine"),
    [
        (None, 5, 7),
        ({}, 5, 7),
        ({"schedule": {"collect_interval": 9}, "mine": {"deep": [1]}}, 9, [1]),
        ({"schedule": 3}, 5, 7),
        ("junk", 5, 7),
    ],
)
def test_a_plugin_process_needs_four_variables(
    tmp_path: Path, settings: object, interval: int, mine: object
) -> None:
    file = tmp_path / "settings.json"
    if settings is not None:
        file.write_text("{" if settings == "junk" else plain_json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-c", PLUGIN],
        env={
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PD_VAR_DIR": str(tmp_path / "var"),
            "PD_PLUGIN_NAME": "plugin",
            "PD_SETTINGS": str(file),
        },
        capture_output=True,
        timeout=60,
        check=True,
    )
    found = json.loads(done.stdout)
    assert (found["var"], found["interval"], found["mine"]) == (
        str(tmp_path / "var"),
        interval,
        mine,
    )
    assert found["cached"]["a"] == {}
    assert isinstance(found["cached"]["cached_at"], datetime)
    assert done.stderr.decode().endswith("INFO plugin: hello a\\x0ab\n")


def test_fresh_data_is_returned_unchanged_and_stored_with_its_time(var: Path) -> None:
    data = {"users": ["jik"]}
    assert penguindome.cached_data("x", data, add_timestamp=True) is data
    assert "cached_at" not in data
    stored = penguindome.cached_data("x")
    assert stored.pop("cached_at").tzinfo is UTC
    assert stored == data
    assert [file.name for file in (var / "data_cache").iterdir()] == ["x.json"]


def test_nothing_stored_is_an_error_or_none(var: Path) -> None:
    with pytest.raises(FileNotFoundError):
        penguindome.cached_data("x")
    assert penguindome.cached_data("x", raise_exception=False) is None
    (var / "data_cache").mkdir()
    (var / "data_cache" / "x.json").write_text("{")
    assert penguindome.cached_data("x", raise_exception=False) is None


def test_data_seen_while_nobody_is_logged_in_does_not_count(
    var: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    penguindome.cached_data("x", [1])
    monkeypatch.setattr(plugin_tools, "_who", lambda: "\n")
    assert penguindome.cached_data("x", [2], check_logged_in=True) == [1]
    monkeypatch.setattr(plugin_tools, "_who", lambda: "jik tty7 2017-07-19 08:00 (:0)\n")
    assert penguindome.cached_data("x", [2], check_logged_in=True) == [2]
    assert penguindome.var_dir == str(var)


@pytest.mark.parametrize("key", ["", "a/b", "../x", ".hidden", "a\0", "a\n", "x" * 129])
def test_keys_cannot_leave_the_folder(var: Path, key: str) -> None:
    with pytest.raises(plugin_cache.InvalidInput):
        penguindome.cached_data(key, 1)
    assert not list(var.iterdir())


def test_the_package_has_nothing_else() -> None:
    with pytest.raises(AttributeError):
        penguindome.nothing  # noqa: B018 -- asking is the test


times = st.datetimes(timezones=st.just(UTC) | st.none())
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5).filter(lambda key: not key.endswith("_at")), inner)
    ),
    max_leaves=6,
)


@given(values, times, st.text(max_size=5))
def test_times_survive_under_any_position(value: object, moment: datetime, name: str) -> None:
    document = {"first": value, name + "_at": moment, "list": [{"z": 1, "seen_at": moment}]}
    assert json.loads(json.dumps(document)) == document


def test_json_keeps_what_is_no_time() -> None:
    text = '{"a":{},"b_at":"soon","c_at":5,"d_at":null,"e":"2030-01-02T03:04:05","f_at":"20300102"}'
    assert json.dumps(json.loads(text), separators=(",", ":")) == text
    assert json.loads("{}") == {}
    assert json.dumps([date(2030, 1, 2), {2, 1}]) == '["2030-01-02", [1, 2]]'
    with pytest.raises(TypeError):
        json.dumps(object())


def test_json_reads_and_writes_files(tmp_path: Path) -> None:
    with (tmp_path / "a").open("w+") as file:
        json.dump({"x_at": NOW}, file)
        file.seek(0)
        assert json.load(file) == {"x_at": NOW}


def test_settings_walk_colon_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.json"
    file.write_text('{"a": {"b": false}, "logging": {}}')
    monkeypatch.setenv("PD_SETTINGS", str(file))
    assert client.get_setting("a:b") is False
    assert client.get_setting("a:b:c", 1) == 1
    assert client.get_setting("logging:syslog:facility") == "user"
    assert client.get_setting("nothing") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jik tty7 2017-07-19 08:00 (:0)\n", [("jik", ":0")]),
        ("jik pts/1 2017-07-19 08:00 (10.0.0.1)\n", []),
        ("jik tty2 2017-07-19 08:00\n", []),
        ("a :1 2017-07-19 08:00 (:1.0)\nb tty 2017-07-19 08:00 (:2)", [("a", ":1.0"), ("b", ":2")]),
        ("", []),
    ],
)
def test_who_lines_are_read(text: str, expected: list) -> None:
    assert plugin_tools.parse_who(text) == expected


@given(st.text(alphabet="ab :()0\n.", max_size=60))
def test_any_who_output_is_read(text: str) -> None:
    for user, display in plugin_tools.parse_who(text):
        assert user
        assert display.startswith(":")


def processes(*found: dict) -> object:
    def iterate(attrs: tuple[str, ...]) -> list[dict]:
        return [one for one in found if set(attrs) <= set(one)]

    return iterate


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for function in (
        plugin_tools.find_who_x_users,
        plugin_tools.find_xinit_users,
        plugin_tools.find_x_users,
        plugin_tools.find_greetd_users,
        plugin_tools._session_environment,
    ):
        function.cache_clear()
    monkeypatch.setattr(plugin_tools, "_who", lambda: "jik tty7 2017-07-19 08:00 (:0)\n")
    return monkeypatch


def test_xinit_users_are_owners_of_the_oldest_process(fresh: pytest.MonkeyPatch) -> None:
    found = processes(
        {"exe": "/usr/bin/xinit", "pid": 5},
        {"exe": "/usr/lib/xorg/Xorg", "ppid": 5, "cmdline": ["Xorg", ":1", "-x"], "pid": 6},
        {"exe": "/usr/lib/xorg/Xorg", "ppid": 1, "cmdline": ["Xorg", ":2"], "pid": 7},
        {"environ": {"DISPLAY": ":1"}, "username": "late", "create_time": 9.0},
        {"environ": {"DISPLAY": ":1"}, "username": "early", "create_time": 3.0},
    )
    fresh.setattr(plugin_tools, "process_dict_iter", found)
    assert plugin_tools.find_xinit_users() == [("early", ":1")]
    assert plugin_tools.find_x_users() == [("early", ":1"), ("jik", ":0")]


def test_greetd_users_are_its_children(fresh: pytest.MonkeyPatch) -> None:
    found = processes(
        {"name": "greetd", "pid": 5},
        {"ppid": 5, "username": "jik", "environ": {"XDG_SEAT": "seat0"}},
        {"ppid": 5, "username": "root", "environ": {}},
        {"ppid": 6, "username": "x", "environ": {"XDG_SEAT": "seat0"}},
    )
    fresh.setattr(plugin_tools, "process_dict_iter", found)
    assert plugin_tools.find_greetd_users() == [("jik", "seat0")]


def test_a_session_is_borrowed_without_what_loaders_obey(fresh: pytest.MonkeyPatch) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    bus = "unix:path=/run/user/1000/bus"
    bad = {"DISPLAY": ":0", "DBUS_SESSION_BUS_ADDRESS": "disabled:"}
    good = {
        "DISPLAY": ":0",
        "DBUS_SESSION_BUS_ADDRESS": bus,
        "LD_PRELOAD": "/tmp/evil.so",
        "PATH": "/tmp/evil",
        "PYTHONPATH": "/tmp/evil",
        "BASH_ENV": "/tmp/evil",
    }
    found = processes(
        {"username": me, "environ": {"DISPLAY": ":0"}},
        {"username": me, "environ": bad},
        {"username": me, "environ": good},
    )
    fresh.setattr(plugin_tools, "process_dict_iter", found)
    user = plugin_tools.DBusUser(me, ":0")
    printed = user.command(["/usr/bin/env"])
    assert sorted(line.partition("=")[0] for line in printed.split()) == [
        "DBUS_SESSION_BUS_ADDRESS",
        "DISPLAY",
        "PATH",
    ]
    assert user.command('echo "$DBUS_SESSION_BUS_ADDRESS"') == bus + "\n"
    assert str(user) == f"<DBusUser({me!r}, ':0')>"
    with pytest.raises(subprocess.CalledProcessError):
        user.command("exit 3")
    with pytest.raises(KeyError):
        plugin_tools.DBusUser(me, ":1")


@pytest.mark.root
def test_root_asks_as_the_user_itself(fresh: pytest.MonkeyPatch) -> None:
    environment = {"DISPLAY": ":0", "DBUS_SESSION_BUS_ADDRESS": "unix:path=/x"}
    found = processes({"username": "nobody", "environ": environment})
    fresh.setattr(plugin_tools, "process_dict_iter", found)
    nobody = pwd.getpwnam("nobody")
    asked = plugin_tools.DBusUser("nobody", ":0").command("id -u; id -g; id -G").split()
    assert asked == [str(nobody.pw_uid), str(nobody.pw_gid), str(nobody.pw_gid)]


def test_processes_that_hide_are_left_out() -> None:
    found = list(plugin_tools.process_dict_iter(("pid", "name")))
    assert os.getpid() in [one["pid"] for one in found]
    assert all(None not in one.values() for one in found)
