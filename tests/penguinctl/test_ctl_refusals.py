"""What an operator is told when an invitation, a server or a profile is not what it should be."""

import pytest

from penguinctl import exits
from penguinctl.profile import ProfileFolder
from penguinctl.session import connect
from penguindome.errors import Forbidden, PreconditionFailed, Unauthenticated, Unavailable
from penguindome.v1 import server_pb2
from tests.penguinctl.server_simulator import Simulator


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda line: line[:-10], "cut off"),
        (lambda line: line[:60] + ("A" if line[60] != "A" else "B") + line[61:], "mistyped"),
        (lambda line: "", "no invitation"),
        (lambda line: line.replace("pdi1", "pde1"), "enrollment token"),
        (lambda line: "\x1b[31m" + line, "something else"),
    ],
)
def test_damaged_invitation_ends_with_2_and_says_what_to_do(fresh, ctl, spoil, words):
    result = ctl("init", stdin=spoil(fresh.invitation()))
    assert result.code == 2
    assert words in result.err
    assert "—" in result.err
    assert fresh.calls == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unauthenticated("the invitation expired 2 h ago", remedy="Ask for a new one"), 4),
        (PreconditionFailed("the invitation was used", remedy="Ask for a new one"), 6),
        (Forbidden("the invitation is unknown", remedy="Ask for a new one"), 4),
    ],
)
def test_servers_refusal_is_told(fresh, ctl, error, code):
    fresh.failures = {"RedeemInvitation": error}
    result = ctl("init", stdin=fresh.invitation())
    assert result.code == code
    assert result.err == f"penguinctl: {error.text()}\n"


def test_missing_invitation_file(fresh, ctl):
    result = ctl("init", "--invitation-file", str(ctl.home / "none"))
    assert (result.code, "No such file" in result.err) == (2, True)


def test_wrong_secret_is_refused(fresh, ctl):
    line = fresh.invitation()
    fresh.invitations.clear()
    assert ctl("init", stdin=line).code == 4


def test_unreachable_server(fresh, ctl):
    line = fresh.invitation(bootstrap_port=1)
    result = ctl("init", stdin=line)
    assert result.code == 5
    assert "127.0.0.1:1" in result.err
    assert "—" in result.err


def test_server_that_hangs_is_given_up(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    folder = ProfileFolder(ctl.profile)
    session = connect(folder, folder.load())
    _, released = fresh.hold("GetSelf")
    with pytest.raises(Unavailable, match="did not answer in time") as caught:
        session.call("server.GetSelf", server_pb2.GetSelfRequest(), timeout_seconds=0.2)
    released.set()
    session.close()
    assert (caught.value.code, exits.exit_code(caught.value)) == ("timeout", 5)


def test_impostor_gets_neither_secret_nor_answer(fresh, ctl):
    impostor = Simulator().start()
    try:
        line = fresh.invitation(bootstrap_port=impostor.bootstrap_port)
        result = ctl("init", stdin=line)
    finally:
        impostor.stop()
    assert result.code == 7
    assert "not our server" in result.err
    assert "Nothing was sent" in result.err
    assert impostor.calls == []


def test_impostor_later_is_noticed_too(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    impostor = Simulator().start()
    path = ctl.profile / "profile.toml"
    text = path.read_text().replace(str(fresh.main_port), str(impostor.main_port))
    path.write_text(text)
    try:
        result = ctl("device", "list")
    finally:
        impostor.stop()
    assert (result.code, impostor.calls) == (7, [])


@pytest.mark.parametrize(
    ("name", "mode", "remedy"),
    [
        (".", 0o750, "chmod 0700"),
        ("key.pem", 0o640, "chmod 0600"),
        ("profile.toml", 0o604, "chmod 0600"),
        ("anchor.pem", 0o622, "chmod 0600"),
    ],
)
def test_loose_modes_are_refused_with_the_remedy(fresh, ctl, name, mode, remedy):
    ctl("init", stdin=fresh.invitation())
    (ctl.profile / name).chmod(mode)
    result = ctl("device", "list")
    assert (result.code, remedy in result.err) == (6, True)


def test_damaged_profile(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    (ctl.profile / "profile.toml").write_text("fleet = ")
    assert ctl("device", "list").code == 7


def test_without_profile_commands_name_init(ctl):
    result = ctl("device", "list")
    assert (result.code, "penguinctl init" in result.err) == (6, True)
