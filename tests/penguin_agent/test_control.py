"""The control socket and the state's files: who may do what."""

import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from penguin_agent.control import ask
from penguindome.errors import InvalidInput, Unavailable
from tests.penguin_agent.agent_process import eventually

NOBODY = 65534
PROGRAM = """
import json, os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
channel = socket.socket(socket.AF_UNIX)
channel.connect(sys.argv[1])
channel.sendall(json.dumps({"verb": sys.argv[2]}).encode() + b"\\n")
print(channel.makefile().readline())
for path in sys.argv[3:]:
    try:
        open(path).read() if os.path.isfile(path) else os.listdir(path)
    except PermissionError:
        print("refused")
"""


@pytest.fixture
def sock(agent, simulator):
    agent.folder.chmod(0o755)
    agent.enroll(simulator.token())
    agent.start()
    eventually(lambda: agent.status()["running"])
    return agent.folder / "run/agent.sock"


def as_nobody(*words: object) -> str:
    command = [sys.executable, "-I", "-c", PROGRAM, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


needs_root = pytest.mark.root


@needs_root
def test_anybody_may_ask_for_the_status(sock):
    assert '"enrolled": true' in as_nobody(sock, "status")
    assert '"verdicts"' in as_nobody(sock, "issues")


@needs_root
@pytest.mark.parametrize("verb", ["collect-now", "reload", "stop"])
def test_only_root_may_do_things(sock, verb):
    assert "only root" in as_nobody(sock, verb)


@needs_root
def test_others_read_neither_identity_nor_spool(sock, agent):
    places = [agent.state / name for name in ("identity", "spool", "state", "dead-letters")]
    places += [agent.state / "identity/key.pem", agent.state / "verdicts.json"]
    assert as_nobody(sock, "status", *places).count("\nrefused") == len(places)


def test_root_may_have_plugins_run_now(sock):
    assert ask(sock, "collect-now", plugins=["hello"]) == {"accepted": True}


def test_the_socket_is_open_to_all_and_its_folder_is_not_writable(sock):
    assert stat.S_IMODE(sock.stat().st_mode) == 0o666
    assert not sock.parent.stat().st_mode & 0o022


@pytest.mark.parametrize(
    "line", [b"\n", b"{}\n", b"[" * 4000 + b"\n", b'{"verb": []}\n', b'{"verb": "x"}\n']
)
def test_nonsense_is_refused(sock, line):
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(10)
        channel.connect(str(sock))
        channel.sendall(line)
        with channel.makefile() as stream:
            assert "not understood" in stream.readline()


def test_a_flood_of_bytes_is_cut_off(sock):
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(10)
        channel.connect(str(sock))
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            channel.sendall(b"x" * 10_000_000)
    assert ask(sock, "status")["running"]


def test_an_unknown_verb_and_a_missing_daemon_are_told(sock, folder):
    with pytest.raises(InvalidInput):
        ask(sock, "nonsense")
    with pytest.raises(Unavailable):
        ask(Path(folder / "nothing"), "status")


def test_looser_modes_keep_the_daemon_from_starting(agent, simulator):
    agent.enroll(simulator.token())
    key = agent.state / "identity/key.pem"
    key.chmod(0o644)
    assert f"chmod 0600 {key}" in agent.run("run", code=6)
    key.chmod(0o600)
    agent.state.chmod(0o755)
    assert f"chmod 0700 {agent.state}" in agent.run("run", code=6)
