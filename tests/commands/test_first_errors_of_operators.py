"""The first errors that somebody meets who sets up penguind and uses penguinctl."""

import socket

import pytest

from tests.commands.conftest import FIREWALL
from tests.commands.refusals import as_a_user, refused
from tests.harness.operator import Operator

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def newcomer(fleet):
    """Return an operator without a profile."""
    one = Operator(fleet.folder / f"o-new{len(fleet.operators)}")
    fleet.operators.append(one)
    return one


def set_up(server, *words):
    where = ("--state-dir", server.folder / "state", "--advertised-host", "127.0.0.1")
    ports = ("--main-port", server.main_port, "--bootstrap-port", server.bootstrap_port)
    return server.try_run("setup", "--yes", *where, *ports, *words)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda line: "", "no invitation was given"),
        (lambda line: line[:99], "the invitation is cut off"),
        (lambda line: line.replace("pdi1", "pde1"), "this is an enrollment token"),
    ],
)
def test_invitation_that_is_none(fleet, newcomer, spoil, words):
    line = fleet.server.invitation.read_text().strip()
    refused(newcomer.try_run("init", standard_input=spoil(line) + "\n"), 2, words, "pdi1")


def test_used_invitation(fleet, newcomer):
    words = ("--invitation-file", fleet.server.invitation)
    refused(newcomer.try_run("init", *words), 4, "not accepted", "operator invite")


def test_before_init(newcomer):
    for words in (("device", "list"), ("token", "create"), ("server", "status")):
        refused(newcomer.try_run(*words), 6, "no operator is set up here", "penguinctl init")


def test_unknown_and_ambiguous_hostnames(fleet, alice, agent):
    for words in (("device", "show", "nix"), ("device", "list", "nix"), ("issue", "list", "nix")):
        refused(alice.try_run(*words), 3, "nix: ", "penguinctl device list")
    twin = fleet.device(plugins=fleet.plugins(firewall=FIREWALL))
    twin.enroll(alice.token())
    ids = (agent.device_id(), twin.device_id())
    name = socket.gethostname()
    for words in (("show", name), ("history", name), ("revoke", name, "--yes")):
        refused(alice.try_run("device", *words), 6, *ids)


@pytest.mark.parametrize(("words", "meant"), [("devices", "device"), ("device lst", "list")])
def test_misspelt_command(alice, words, meant):
    done = alice.try_run(*words.split())
    assert done.returncode == 2
    assert f"Did you mean '{meant}'?" in done.stderr
    assert len(done.stderr.splitlines()) <= 3


def test_profile_that_others_can_read(alice):
    key = alice.folder / "config/penguinctl/key.pem"
    key.chmod(0o644)
    refused(alice.try_run("device", "list"), 6, f"chmod 0600 {key}")
    key.chmod(0o600)


def test_misspelt_command_of_the_server(second):
    done = second.try_run("setpu")
    assert done.returncode == 2
    assert "Did you mean 'setup'?" in done.stderr


def test_server_before_setup(second):
    for words in (("run",), ("check-config",), ("operator", "invite", "bob")):
        refused(second.try_run(*words), 1, str(second.config), "penguind setup")


def test_setting_that_is_misspelt(second):
    assert set_up(second).returncode == 0
    text = second.config.read_text()
    for wrong, words in (("main_prot = 1", "Did you mean main_port"), ("main_port = x", "line 1")):
        second.config.write_text(text.replace(f"main_port = {second.main_port}", wrong))
        for command in ("run", "check-config"):
            refused(second.try_run(command), 1, str(second.config), words)


def test_port_in_use_and_state_in_use(fleet, second):
    second.main_port = fleet.server.main_port
    assert set_up(second).returncode == 0
    done = second.try_run("run")
    refused(done, 1, f":{second.main_port}", "Address already in use", "ss -ltnp")
    refused(fleet.server.try_run("run"), 1, "another penguind", "stop it first")


def test_loose_modes(second):
    assert set_up(second).returncode == 0
    for name, mode in (("state/authority/device-ca-key.pem", 0o600), ("state", 0o700)):
        path = second.folder / name
        path.chmod(0o755)
        refused(second.try_run("run"), 1, f"chmod {mode:04o} {path}")
        path.chmod(mode)


def test_no_mongod(second):
    # A folder that hides the wheel which brings one.
    hiding = second.folder / "hiding/fiftyone"
    hiding.mkdir(parents=True)
    (hiding / "__init__.py").write_text("")
    second.environment_more = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(hiding.parent)}
    refused(set_up(second), 1, "mongod", "install")


def test_what_needs_root():
    done = as_a_user("penguind", "setup", "--yes", "--advertised-host", "h.example")
    refused(done, 1, "/var/lib/penguind", "sudo")
