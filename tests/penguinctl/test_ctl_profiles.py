"""Several fleets on one machine, and a server that is reached by a detour."""

import json
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penguinctl.profiles import Address, parse_address
from penguindome.errors import InvalidInput
from tests.penguinctl.server_simulator import Simulator


@pytest.fixture
def work(ctl, fresh):
    """A profile with a name, and nobody at the default one."""
    done = ctl("--profile", "work", "init", stdin=fresh.invitation())
    assert done.code == 0, done.err
    return ctl


@pytest.fixture
def stranger():
    simulator = Simulator().start()
    yield simulator
    simulator.stop()


def test_a_profile_stands_in_private_folders(work):
    folder = work.profile / "profiles" / "work"
    for path in (work.profile, folder.parent, folder):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert (folder / "profile.toml").exists()
    assert not (work.profile / "profile.toml").exists()


def test_option_variable_and_choice_say_which_is_meant(work):
    assert work("server", "status").code == 6
    assert work("--profile", "work", "server", "status").code == 0
    assert work("server", "status", PENGUINCTL_PROFILE="work").code == 0
    assert work("profile", "use", "work").code == 0
    assert work("server", "status").code == 0
    # The option counts more than the variable, and that more than the choice.
    assert work("--profile", "default", "server", "status", PENGUINCTL_PROFILE="work").code == 6
    assert work("server", "status", PENGUINCTL_PROFILE="default").code == 6


def test_two_fleets_are_kept_apart(work, stranger):
    assert work("init", stdin=stranger.invitation()).code == 0
    fleets = {
        one["name"]: one["fleet_id"]
        for one in json.loads(work("profile", "list", "-o", "json").out)["profiles"]
    }
    assert len(set(fleets.values())) == 2
    for name, fleet in fleets.items():
        status = json.loads(work("--profile", name, "server", "status", "-o", "json").out)
        assert status["fleet_id"] == fleet


@pytest.mark.parametrize("name", ["../work", "Work", "a/b", ".hidden", "x" * 64, "é", "-x"])
def test_names_lead_nowhere_else(work, name):
    assert work(f"--profile={name}", "device", "list").code == 2


def test_an_unknown_profile_is_told_with_those_there_are(work):
    for words in (["profile", "use", "home"], ["profile", "show", "home"]):
        result = work(*words)
        assert (result.code, "There are: work" in result.err) == (3, True)


def test_a_damaged_profile_is_listed_as_such(work):
    (work.profile / "profiles" / "work" / "profile.toml").write_text("fleet = [")
    (entry,) = json.loads(work("profile", "list", "-o", "json").out)["profiles"]
    assert (entry["name"], entry["operator"]) == ("work", None)
    assert "cannot be understood" in entry["problem"]


def test_removing_asks_and_keeps_the_signing_key(work):
    work("profile", "use", "work")
    result = work("profile", "remove", "work", stdin="wrong\n")
    assert (result.code, "Nothing was done" in result.err) == (6, True)
    shown = json.loads(work("profile", "show", "-o", "json").out)
    result = work("profile", "remove", "work", "-o", "json", stdin="work\n")
    assert result.code == 0, result.err
    (kept,) = (work.profile / "kept-keys").iterdir()
    assert json.loads(result.out)["signing_key_home"] == str(kept)
    assert list((kept / "private-keys-v1.d").iterdir())
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert not (work.profile / "profiles" / "work").exists()
    assert str(kept) in result.err
    assert shown["name"] == "work"
    # The choice fell with the profile.
    assert not (work.profile / "current-profile").exists()


def test_removing_the_default_profile_leaves_the_others(work, stranger):
    assert work("init", stdin=stranger.invitation()).code == 0
    assert work("profile", "remove", "default", "--yes").code == 0
    assert not (work.profile / "key.pem").exists()
    assert work("--profile", "work", "server", "status").code == 0


def test_a_detour_leads_to_the_same_server_only(work, fresh, stranger):
    words = ("--profile", "work", "--server")
    detour = f"127.0.0.1:{fresh.main_port}"
    result = work(*words, detour, "server", "status")
    assert result.code == 0, result.err
    assert detour in result.out
    # localhost is not what the certificate says, but who answers is our server all the same.
    assert work(*words, f"localhost:{fresh.main_port}", "server", "status").code == 0
    assert work(*words, "localhost", "server", "status").code == 0
    for address in (f"127.0.0.1:{stranger.main_port}", f"localhost:{stranger.main_port}"):
        result = work(*words, address, "server", "status")
        assert (result.code, "not our server" in result.err) == (7, True)
    assert stranger.calls == []


def test_a_detour_is_for_one_call(work, fresh):
    path = work.profile / "profiles" / "work" / "profile.toml"
    before = path.read_text()
    assert work("--profile", "work", "--server", f"localhost:{fresh.main_port}", "device", "list")
    assert path.read_text() == before


def test_an_invitation_says_where_its_server_is(ctl, fresh):
    assert ctl("--server", "localhost", "init", stdin=fresh.invitation()).code == 2


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("host", Address("host")),
        ("host:9", Address("host", 9)),
        ("[::1]", Address("::1")),
        ("[::1]:65535", Address("::1", 65535)),
    ],
)
def test_addresses(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", ":9", "host:", "host:0", "host:65536", "host:9:9", "::1",
                                  "[::1", "[::1]9", "[x]", "a b", "unix:/x", "host:x"])  # fmt: skip
def test_what_is_no_address_is_refused(text):
    with pytest.raises(InvalidInput):
        parse_address(text)


@given(st.text(max_size=20))
def test_any_text_is_an_address_or_refused(text):
    try:
        address = parse_address(text)
    except InvalidInput:
        return
    assert parse_address(str(address)) == address
