"""Terminal escapes in everything a device, an operator or a poisoned database can say.

The simulator's tests poison every field of every answer; here the whole way is real: device or
database, server, command, pseudo-terminal.
"""

import json

import pytest

from penguindome.tokens import decode_token
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.evil_reports import EvilReports
from tests.harness.process import BIN, environment, wait_until
from tests.penguinctl.hostile_text import TEXT
from tests.penguinctl.pty_capture import run_in_terminal
from tests.penguinctl.test_ctl_hostile import dangerous

pytestmark = pytest.mark.timeout(240)

JSON_TEXT = TEXT.replace("\x00", "")
# Words in braces are filled in; whether the answer has to show the hostile text, escaped.
COMMANDS = {
    "device list": True,
    "device list -o json": True,
    "device show {device}": True,
    "device show {device} -o json": True,
    "device history {device}": True,
    "device label {device} --add x": True,
    "device collect {device}": True,
    "device approve {pending} --yes": True,
    "device block {device} --reason {text}": True,
    "device unblock {device} --reason {text}": True,
    "operator list": False,
    "operator ranges": False,
    "operator ranges admin {text}": True,
    "operator invite {text} --role viewer": True,
    "operator role {text} --add viewer": True,
    "operator revoke {text} --yes": True,
    "device revoke {spare} --yes --reason {text}": True,
    "device delete {spare} --yes": True,
    "device label {device} --add {text}": True,
    "device show {text}": True,
    "issue list": True,
    "issue list --closed -o json": True,
    "issue show {issue}": True,
    "issue audit {device}": False,
    "issue open {device} --name fan --reason {text}": True,
    "issue open {device} --name {text}": True,
    "issue close {issue} --reason {text}": True,
    "check list": False,
    "check show firewall-disabled": False,
    "check show {text}": True,
    "check test {file}": False,
    "trail {device}": True,
    "trail {device} -o json": True,
    "ledger list": True,
    "ledger list -o json": True,
    "ledger verify": False,
    "ledger head": False,
    "token create --note {text}": False,
    "token list": True,
    "token revoke {text}": True,
    "server status": False,
    "init --invitation-file {file}": False,
    "{text}": True,
}


class Terminal:
    """A person at a terminal; what comes out of it is given back as it is."""

    def __init__(self, program, env):
        self._program = program
        self._env = {**env, "TERM": "xterm", "NO_COLOR": "1"}

    def __call__(self, *words):
        code, out = run_in_terminal([*self._program, *words], b"", 400, self._env)
        return code, out


@pytest.fixture(scope="module")
def ctl(fleet):
    alice = fleet.alice
    env = environment(
        HOME=str(alice.folder),
        XDG_CONFIG_HOME=str(alice.folder / "config"),
        GNUPGHOME=str(alice.folder / "gnupg"),
        # Else a pager would wait for a key.
        PENGUINCTL_PAGER="cat",
    )
    return Terminal([str(BIN / "penguinctl")], env)


def hostile_device(wire, token):
    agent = EvilAgent(wire)
    agent.enroll(token, hostname="x" + TEXT)
    return agent


@pytest.fixture
def words(fleet, wire, token, database, tmp_path):
    """Make a device whose every word is hostile; return what fills the braces."""
    agent = hostile_device(wire, token)
    waiting = decode_token(fleet.alice.token("--approve", "--note", JSON_TEXT))
    pending = hostile_device(wire, waiting)
    reports = EvilReports(agent)
    reports.check_in(hostname="x" + TEXT, agent_version=TEXT, boot_id="b", capabilities=[TEXT])
    value = {"status": "off", JSON_TEXT: [JSON_TEXT, {JSON_TEXT: JSON_TEXT}]}
    reports.says(firewall=value, os_info={"name": JSON_TEXT})
    reports.says(firewall={**value, "more" + JSON_TEXT: 1})
    spare = hostile_device(wire, token)
    fleet.alice.run("issue", "audit", agent.device_id)
    found = fleet.alice.json("issue", "list", agent.device_id)["issues"]
    poison(database, agent.device_id)
    file = tmp_path / "check.yaml"
    file.write_text(f"name: x\nsummary: {TEXT}\n")
    file.chmod(0o600)
    return {
        "device": agent.device_id,
        "pending": pending.device_id,
        "spare": spare.device_id,
        "issue": found[0]["issue_id"],
        "text": JSON_TEXT,
        "file": str(file),
    }


def poison(database, device_id):
    """Put raw text where the server itself would never have let it through."""
    hostile = {"hostname": "y" + TEXT, "os_name": TEXT, "agent_version": TEXT, "labels": [TEXT]}
    database.records["devices"].update_one({"_id": device_id}, {"$set": hostile})
    database.records["issues"].update_many(
        {"device_id": device_id}, {"$set": {"hostname": TEXT, "summary": TEXT, "remedy": TEXT}}
    )
    database.records["trail"].update_many(
        {"device_id": device_id}, {"$set": {"hostname": TEXT, "key": "plugins." + JSON_TEXT}}
    )


def test_no_command_of_an_operator_lets_anything_through(ctl, words):
    silent = []
    for command, shows in COMMANDS.items():
        code, out = ctl(*(word.format(**words) for word in command.split()))
        assert dangerous(out) == set(), (command, out)
        assert out or code == 0, command
        escaped = r"\x1b[31m" in out or r"\u001b[31m" in out
        silent += [(command, out)] if shows and not escaped else []
    # The hostile text did reach these commands.
    assert silent == []


def test_the_capture_would_see_it(ctl, tmp_path):
    """The same terminal, a program that does let it through."""
    path = tmp_path / "text"
    path.write_text(TEXT.replace("\x00", ""), encoding="utf-8")
    _, out = Terminal(["/bin/cat"], environment())(str(path))
    assert {"\x1b", "\x07", "\x7f", "\x85", "\u202e", "\u200b"} <= dangerous(out)


PLUGINS = {
    "hostile": "#!/bin/sh\nexec cat {folder}/value.json\n",
    "firewall": '#!/bin/sh\necho \'{{"status": "off"}}\'\n',
    "wrong": "#!/bin/sh\ncat {folder}/text >&2\nexit 3\n",
    "garbage": "#!/bin/sh\nexec cat {folder}/text\n",
}


@pytest.fixture
def laptop(fleet):
    folder = fleet.folder / "words"
    folder.mkdir()
    (folder / "value.json").write_text(json.dumps({JSON_TEXT: [JSON_TEXT]}), encoding="utf-8")
    (folder / "text").write_text(TEXT, encoding="utf-8")
    scripts = {name: text.format(folder=folder) for name, text in PLUGINS.items()}
    agent = fleet.device(plugins=fleet.plugins(**scripts))
    agent.add_local("bad\x1b[31mname\u202e", "#!/bin/sh\necho 1\n")
    agent.enroll(fleet.alice.token())
    agent.start()
    yield agent
    agent.stop()


def test_no_command_on_the_device_lets_anything_through(fleet, database, laptop):
    fleet.wait_for_report(laptop)
    wait_until(lambda: "firewall" in laptop.run("issues"), 30, "no verdict comes")
    # A hostile server's words to the device's user.
    database.records["issues"].update_many(
        {"device_id": laptop.device_id()},
        {"$set": {"summary": "s" + TEXT, "remedy": "r" + TEXT}},
    )
    fleet.alice.run("issue", "open", laptop.device_id(), "--name", "wake-up")
    wait_until(lambda: "wake-up" in laptop.run("issues"), 30, "no verdict comes")
    program = [str(BIN / "penguin-agent"), "--config", str(laptop.config)]
    terminal = Terminal(program, environment(HOME=str(laptop.folder)))
    for words in (["status"], ["issues"], ["collect"], ["collect", "-o", "json"],
                  ["status", "-o", "json"], ["collect", "hostile"]):  # fmt: skip
        _, out = terminal(*words)
        assert dangerous(out) == set(), (words, out)
        assert r"\x1b[31m" in out or r"\u001b[31m" in out, (words, out)
    _, out = terminal("collect", TEXT.replace("\x00", ""))
    assert dangerous(out) == set()
    laptop.stop()
    for words in (["status"], ["issues"]):
        assert dangerous(terminal(*words)[1]) == set()
