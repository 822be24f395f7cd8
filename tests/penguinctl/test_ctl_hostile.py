"""Whatever a device or the server says, the operator's terminal stays itself."""

import unicodedata

import pytest

from penguindome.errors import Forbidden
from tests.penguinctl import samples
from tests.penguinctl.hostile_text import TEXT

COMMANDS = {
    "token create": ["token", "create"],
    "token create file": ["token", "create", "--output-file", "{home}/t"],
    "token list": ["token", "list"],
    "token revoke": ["token", "revoke", "0123456789abcdef"],
    "device list": ["device", "list"],
    "device show": ["device", "show", "web-1"],
    "device history": ["device", "history", samples.WEB],
    "device approve": ["device", "approve", samples.WAITING, "--yes"],
    "device revoke": ["device", "revoke", samples.WEB, "--yes"],
    "device delete": ["device", "delete", samples.GONE, "--yes"],
    "device label": ["device", "label", "web-1", "--add", "x"],
    "device collect": ["device", "collect", "web-1"],
    "issue list": ["issue", "list", "--closed"],
    "issue show": ["issue", "show", samples.ISSUE],
    "issue audit": ["issue", "audit"],
    "issue open": ["issue", "open", "web-1", "--name", "fan"],
    "issue close": ["issue", "close", samples.ISSUE],
    "issue snooze": ["issue", "snooze", samples.ISSUE],
    "issue unsnooze": ["issue", "unsnooze", samples.ISSUE],
    "issue suspend": ["issue", "suspend", "web-1"],
    "issue unsuspend": ["issue", "unsuspend", "web-1"],
    "alert list": ["alert", "list"],
    "alert preview": ["alert", "preview"],
    "alert test": ["alert", "test", "mail"],
    "check list": ["check", "list"],
    "check show": ["check", "show", "firewall-disabled"],
    "check test": ["check", "test", "{home}/check.yaml"],
    "trail": ["trail"],
    "ledger list": ["ledger", "list"],
    "ledger verify": ["ledger", "verify"],
    "ledger head": ["ledger", "head"],
    "run": ["run", "web-1", "--yes", "--", "x"],
    "command list": ["command", "list"],
    "command show": ["command", "show", samples.ORDER],
    "command output": ["command", "output", samples.ORDER],
    "command cancel": ["command", "cancel", samples.ORDER, "--yes"],
    "wipe device": ["wipe", "device", "web-1", "--yes"],
    "wipe status": ["wipe", "status", "web-1"],
    "wipe cancel": ["wipe", "cancel", "web-1", "--yes"],
    "order list": ["order", "list"],
    "order show": ["order", "show", samples.ORDER],
    "order approve": ["order", "approve", samples.ORDER, "--yes"],
    "order withdraw": ["order", "withdraw", samples.ORDER],
    "server status": ["server", "status"],
    "init": ["init"],
}
# Commands that say nothing of what the server answered.
SILENT = {
    "token revoke", "token create", "token create file", "ledger head", "ledger verify", "init",
    "order approve", "wipe cancel", "wipe device",
}  # fmt: skip
# What commands need to find the device that they were asked for.
NEEDED = {
    "device approve": ("device_id", "state", "key_fingerprint"),
    "device revoke": ("device_id", "state"),
    "device delete": ("device_id", "state"),
    "device label": ("device_id", "state"),
    "device collect": ("device_id", "state"),
    "issue open": ("device_id", "state"),
    "issue close": ("issue_id",),
    "issue suspend": ("device_id", "state"),
    "issue unsuspend": ("device_id", "state"),
    "run": ("device_id", "hostname", "state", "order_id"),
    "command cancel": ("device_id", "hostname", "state"),
    "wipe device": ("device_id", "hostname", "state", "order_id"),
    "wipe status": ("order_id",),
    "token create": ("advertised_host",),
    "token create file": ("advertised_host",),
    "init": ("kind",),
}


def dangerous(text):
    """Return the characters that a terminal might obey."""
    return {
        character
        for character in text
        if character != "\n" and unicodedata.category(character) in ("Cc", "Cf", "Zl", "Zp")
    }


@pytest.fixture
def run(simulator, operator):
    samples.fill(simulator.state)
    simulator.state.issues[0].snoozed_until_unix_ms = samples.NOW_MS + samples.HOUR_MS
    (operator.home / "check.yaml").write_text(f"name: x\nsummary: {TEXT.replace(chr(0), '')}\n")
    simulator.orders.fill()
    plan = {"plan": {"level": "lock", "accounts": [{"name": "ann", "uid": 1000}]}}
    ended = ("succeeded", {"exit_code": 0, "details": plan})
    simulator.orders.plays[samples.WEB] = (("stdout", b"hello\n"), ended)
    simulator.hostile = True

    def run_hostile(name, *more, columns=100):
        simulator.spared = ("kind", *NEEDED.get(name, ()))
        arguments = [word.format(home=operator.home) for word in COMMANDS[name]]
        place = arguments.index("--") if "--" in arguments else len(arguments)
        words = [*arguments[:place], *more, *arguments[place:]]
        return operator.terminal(*words, columns=columns, NO_COLOR="1")

    return run_hostile


@pytest.mark.parametrize("name", COMMANDS)
def test_table(run, name):
    result = run(name, columns=400)
    assert dangerous(result.out) == set()
    assert result.out
    assert (r"\x1b[31m" in result.out) == (name not in SILENT), result.out


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "init"])
def test_json(run, name):
    result = run(name, "-o", "json")
    assert dangerous(result.out) == set()
    assert result.out.isascii() or result.code or "approve" in name or "ledger verify" in name


@pytest.mark.parametrize("name", ["device list", "issue list", "trail"])
def test_narrow_terminal(run, name):
    assert dangerous(run(name, columns=40).out) == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_error_text(run, simulator, name):
    error = Forbidden(TEXT, code=TEXT, subject=TEXT, remedy=TEXT)
    methods = (
        "CreateToken ListTokens RevokeToken ListDevices GetDevice ListTrail ListIssues GetIssue"
        " AuditDevices CloseIssues SnoozeIssues UnsnoozeIssues SuspendDevices UnsuspendDevices"
        " ListAlerts PreviewAlerts TestAlert"
        " ListOrders GetOrder SubmitOrder WithdrawOrder"
        " ListChecks GetCheck TestCheck ListLedger GetLedgerHead GetServerStatus GetSelf"
    )
    simulator.failures = dict.fromkeys(methods.split(), error)
    result = run(name)
    assert result.code == 4
    assert dangerous(result.out) == set()
    assert r"\u202egnp.exe" in result.out


def test_names_typed_by_the_operator_are_escaped_too(operator, simulator):
    result = operator.terminal("device", "list", "\x1b[2Jx", NO_COLOR="1")
    assert result.code == 2
    assert dangerous(result.out) == set()


@pytest.mark.parametrize("name", ["run", "wipe device"])
def test_nothing_is_signed_for_a_hostname_that_is_none(run, simulator, name):
    simulator.state.devices[4].hostname += TEXT
    simulator.hostile = False
    result = run(name)
    assert result.code in (2, 3, 4)
    assert simulator.requests("SubmitOrder") == []
    assert dangerous(result.out) == set()


def test_hostile_hostnames_can_still_be_approved_by_id(run, simulator):
    result = run("device approve")
    assert result.code == 0, result.out
    assert len(simulator.requests("ApproveDevice")) == 1
