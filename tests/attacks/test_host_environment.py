"""A poisoned environment of a service: nothing of it is obeyed, and plugins see none of it."""

import json
import subprocess
from pathlib import Path

import pytest

from penguin_agent.collect.environment import ALLOWED
from tests.harness.process import BIN, environment, wait_until

pytestmark = pytest.mark.timeout(240)

TOOLS = ("gpgv", "python3", "prlimit", "choom", "nice", "ionice", "cat", "sh", "mongosh", "env")
MODULES = ("grpc", "logbook", "psutil", "pymongo", "cryptography", "google", "click", "yaml")
# Suites that no program of ours may accept: obeying it, nobody would get a connection.
WEAK = "AES128-SHA"
ENVIRON = "#!/usr/bin/python3 -I\nprint(__import__('json').dumps(dict(__import__('os').environ)))\n"
BY_ENV = "#!/usr/bin/env python3\nimport json, os\nprint(json.dumps(dict(os.environ)))\n"
BY_SHELL = """#!/bin/sh
exec /usr/bin/python3 -I -c 'import json, os; print(json.dumps(dict(os.environ)))'
"""


class Poison:
    """Variables that lead to files which write down that they were used."""

    def __init__(self, folder: Path) -> None:
        self.mark = folder / "used"
        tools, modules = folder / "bin", folder / "modules"
        for name in (folder, tools, modules, folder / "gnupg"):
            name.mkdir(exist_ok=True)
            name.chmod(0o755)
        for name in TOOLS:
            path = tools / name
            path.write_text(f'#!/bin/sh\necho {name} >> {self.mark}\nexec /usr/bin/{name} "$@"\n')
            path.chmod(0o755)
        code = f"open({str(self.mark)!r}, 'a').write(__name__)\nraise SystemExit('poisoned')\n"
        for name in MODULES:
            (modules / f"{name}.py").write_text(code)
        (folder / "startup.py").write_text(code)
        self.mark.touch()
        self.mark.chmod(0o666)
        self.path = str(tools)
        self.python_path = str(modules)
        self.network = {
            **dict.fromkeys(("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "grpc_proxy"),
                            "http://127.0.0.1:9"),
            "SSL_CERT_FILE": f"{folder}/none.pem",
            "SSL_CERT_DIR": f"{folder}/none",
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": f"{folder}/none.pem",
            "GRPC_SSL_CIPHER_SUITES": WEAK,
            "GRPC_VERBOSITY": "DEBUG",
            "GRPC_TRACE": "all",
            "SSLKEYLOGFILE": f"{folder}/keys",
            "PYTHONSTARTUP": f"{folder}/startup.py",
        }  # fmt: skip
        self.keys = folder / "keys"

    def used(self):
        return self.mark.read_text() + ("keys" if self.keys.exists() else "")


@pytest.fixture
def poison(fleet):
    folder = fleet.folder / f"p{len(list(fleet.folder.iterdir()))}"
    return Poison(folder)


def service_poison(poison):
    """Return what an agent's service has to survive."""
    return {
        **poison.network,
        "PATH": f"{poison.path}:{environment()['PATH']}",
        "PYTHONPATH": poison.python_path,
        "LD_PRELOAD": "/nonexistent/evil.so",
        "LD_LIBRARY_PATH": poison.path,
        "GNUPGHOME": str(poison.mark.parent / "gnupg"),
        "TMPDIR": str(poison.mark.parent / "missing"),
    }


def environ_of(process):
    data = Path(f"/proc/{process.pid}/environ").read_bytes()
    return dict(line.split("=", 1) for line in data.decode().split("\0") if line)


def test_poison_works_on_programs_that_obey_it(poison):
    """The positive control: each trap springs where nobody looks out."""
    env = {**environment(), "PATH": f"{poison.path}:/usr/bin:/bin", **poison.network}
    subprocess.run(["/bin/sh", "-c", "cat /dev/null"], env=env, check=True, timeout=20)
    assert "cat" in poison.used()
    env["PYTHONPATH"] = poison.python_path
    done = subprocess.run(
        ["/usr/bin/python3", "-c", "import psutil"],
        env=env, check=False, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert "poisoned" in done.stderr
    assert "psutil" in poison.used()
    program = (
        "import grpc, sys; channel = grpc.insecure_channel(sys.argv[1]);"
        "grpc.channel_ready_future(channel).result(0.1)"
    )
    env = environment(GRPC_VERBOSITY="DEBUG", GRPC_TRACE="all")
    python = str(BIN / "python")
    done = subprocess.run(
        [python, "-c", program, "127.0.0.1:9"],
        env=env, check=False, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert len(done.stderr) > 1000, "gRPC does not trace by these variables any more"


def test_agent_obeys_none_of_it_and_plugins_see_a_fixed_list(fleet, poison):
    plugins = fleet.plugins(direct=ENVIRON, env=BY_ENV, shell=BY_SHELL)
    agent = fleet.device(plugins=plugins)
    agent.add_local("own", ENVIRON)
    evil = service_poison(poison)
    agent._more = evil
    agent.enroll(fleet.alice.token())
    agent.start(**evil)
    shown = fleet.wait_for_report(agent)
    found = {one["name"]: one for one in shown["outputs"]}
    assert shown["device"]["connected"]
    assert poison.used() == ""
    own = environ_of(agent.process)
    assert not own.items() & evil.items()
    assert poison.path not in own["PATH"]
    assert not [line for line in agent.log().splitlines() if "TRACE" in line or "DEBUG" in line]
    for name, more in (
        ("direct", set()),
        ("own", set()),
        ("shell", {"PWD"}),
        ("env", {"PYTHONPATH"}),
    ):
        assert found[name]["status"] == "ok", found[name]
        seen = found[name]["value"]
        assert seen.keys() - more - {"LC_CTYPE", "PWD"} == set(ALLOWED), (name, seen)
        assert poison.path not in json.dumps(seen)
        assert poison.python_path not in json.dumps(seen)
        assert seen["PD_PLUGIN_NAME"] == name
    agent.stop()


def test_server_obeys_none_of_it(fleet, poison, monkeypatch):
    clean = fleet.server._environment()
    evil = {**clean, **poison.network, "GNUPGHOME": str(poison.mark.parent / "gnupg")}
    fleet.server.stop()
    start = len(fleet.server.log())
    with monkeypatch.context() as patch:
        patch.setattr(fleet.server, "_environment", lambda: evil)
        fleet.server.start()
    try:
        agent = fleet.device(plugins=fleet.plugins(direct=ENVIRON))
        agent.enroll(fleet.alice.token())
        agent.start()
        fleet.wait_for_report(agent)
        log = fleet.server.log()[start:]
        assert poison.used() == ""
        assert len(log) < 20_000, log[:2000]
        children = fleet.server.process.descendants()
        (mongod,) = [one for one in children if "mongod" in one.name()]
        assert not evil.keys() & mongod.environ().keys() - {"PATH", "LANG", "TZ"}
        agent.stop()
    finally:
        fleet.server.stop()
        fleet.server.start()


def test_operators_commands_obey_none_of_it(fleet, poison):
    alice = fleet.alice
    env = environment(
        HOME=str(alice.folder),
        XDG_CONFIG_HOME=str(alice.folder / "config"),
        GNUPGHOME=str(alice.folder / "gnupg"),
        **poison.network,
    )
    for words in (["device", "list", "-o", "json"], ["server", "status"], ["ledger", "verify"]):
        done = subprocess.run(
            [str(BIN / "penguinctl"), *words],
            env=env, check=False, capture_output=True, text=True, timeout=60, cwd="/",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "trace" not in done.stderr.lower()
        assert len(done.stderr) < 1000
    assert poison.used() == ""


def test_services_units_unset_what_acts_before_the_first_line():
    folder = Path(__file__).resolve().parents[2] / "systemd"
    for name in ("penguind.service", "penguin-agent.service"):
        text = (folder / name).read_text()
        (line,) = [one for one in text.splitlines() if one.startswith("UnsetEnvironment=")]
        unset = set(line.partition("=")[2].split())
        assert {
            "LD_PRELOAD",
            "LD_LIBRARY_PATH",
            "PYTHONPATH",
            "PYTHONHOME",
            "PYTHONSTARTUP",
        } <= unset
        assert not {"PATH", "NOTIFY_SOCKET"} & unset


@pytest.mark.parametrize("name", ["LD_PRELOAD", "PYTHONPATH"])
def test_agents_daemon_starts_anew_without_it(fleet, poison, name):
    agent = fleet.device(plugins=fleet.plugins(direct=ENVIRON))
    agent.enroll(fleet.alice.token())
    agent.start(**{name: service_poison(poison)[name]})
    wait_until(lambda: agent.status()["running"], 20, "it does not run")
    assert name not in environ_of(agent.process)
    agent.stop()
