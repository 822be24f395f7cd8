"""penguinctl token, issue, check, trail and server."""

import json
import stat

import pytest

from penguindome import trust
from penguindome.certs import pem_to_der
from penguindome.tokens import decode_token
from tests.penguinctl import samples


@pytest.fixture(autouse=True)
def _filled(simulator):
    samples.fill(simulator.state)


def test_token_line_stands_alone_and_pins_what_the_operator_pinned(simulator, operator):
    result = operator("token", "create")
    assert result.code == 0, result.err
    line = decode_token(result.out)
    assert result.out.count("\n") == 1
    assert line.anchor == pem_to_der(simulator.anchor.pem)
    assert line.fleet == simulator.fleet
    assert line.trust_hash == trust.document_hash(simulator.state.trust[0].envelope.payload)
    assert (line.host, line.main_port, line.bootstrap_port) == ("penguind.example.com", 7443, 7444)


def test_token_options_reach_the_server(simulator, operator):
    operator(
        *("token", "create", "--uses", "7", "--ttl", "36h", "--cidr", "10.0.0.0/8"),
        *("--cidr", "fd00::/8", "--approve", "--label", "sales", "--note", "spring"),
    )
    request = simulator.requests("CreateToken")[0]
    assert (request.max_uses, request.ttl_seconds, request.note) == (7, 36 * 3600, "spring")
    assert list(request.cidrs) == ["10.0.0.0/8", "fd00::/8"]
    assert (request.needs_approval, list(request.labels)) == (True, ["sales"])


def test_token_in_a_file_is_private_and_not_printed(operator):
    path = operator.home / "token.txt"
    path.write_text("")
    path.chmod(0o666)
    result = operator("token", "create", "--output-file", str(path))
    assert (result.code, result.out) == (0, "")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    decode_token(path.read_text())


def test_token_json(operator):
    value = json.loads(operator("token", "create", "-o", "json").out)
    assert set(value) == {"token", "token_id", "expires_time", "output_file"}


@pytest.mark.parametrize("arguments", [["--ttl", "soon"], ["--uses", "0"]])
def test_token_with_wrong_options(operator, arguments):
    assert operator("token", "create", *arguments).code == 2


def test_token_needs_a_pinned_trust_document(fresh, ctl):
    ctl("init", stdin=fresh.invitation(roles=("operator",)))
    result = ctl("token", "create")
    assert (result.code, "penguinctl init" in result.err) == (6, True)
    assert fresh.requests("CreateToken") == []


def test_servers_false_trust_is_refused(simulator, operator):
    real = list(simulator.state.trust)
    false = type(real[0])()
    false.CopyFrom(real[0])
    false.version = 2
    simulator.state.trust.append(false)
    result = operator("token", "create")
    simulator.state.trust[:] = real
    assert (result.code, "does not continue" in result.err) == (7, True)
    assert simulator.requests("CreateToken") == []


def test_token_list_and_revoke(simulator, operator):
    result = operator("token", "list")
    assert result.code == 0
    for text in ("0123456789abcdef", "active", "1/5", "spring hires", "10.0.0.0/8"):
        assert text in result.out
    value = json.loads(operator("token", "list", "-o", "json").out)
    assert value["tokens"][0]["needs_approval"] is True
    assert operator("token", "revoke", "0123456789abcdef").code == 0
    assert operator("token", "revoke", "ffffffffffffffff").code == 3
    simulator.state.tokens = []
    assert operator("token", "list").out == "No tokens.\n"


def test_issue_list(operator):
    result = operator("issue", "list")
    assert "firewall-disabled" in result.out
    assert "disk-noisy" not in result.out
    assert "disk-noisy" in operator("issue", "list", "--closed").out
    result = operator("issue", "list", "web-1", "--name", "nothing")
    assert (result.code, result.out) == (3, "No matching issues.\n")
    value = json.loads(operator("issue", "list", "-o", "json").out)
    assert value["issues"][0]["evidence"] == {"firewall": {"active": False}}


def test_issue_show(operator):
    result = operator("issue", "show", samples.ISSUE)
    for text in ("run ufw enable", '"active": false', "the check failed", "web-1"):
        assert text in result.out
    value = json.loads(operator("issue", "show", samples.ISSUE, "-o", "json").out)
    assert value["issue"]["timeline"][0]["event"] == "opened"
    assert operator("issue", "show", "01HZY3J5Q0G7X8K9M2N4P6R8S0").code == 3


def test_issue_audit(operator):
    result = operator("issue", "audit")
    assert "Opened firewall-disabled of web-1" in result.out
    assert "issues opened: 1, closed: 1" in result.out
    assert operator("issue", "audit", "nobody").code == 3
    assert json.loads(operator("issue", "audit", "web-1", "-o", "json").out)["devices"] == 1


def test_issue_open(simulator, operator):
    arguments = ["issue", "open", "web-1", "--name", "fan", "--severity", "low", "--reason", "loud"]
    assert "Opened fan of web-1" in operator(*arguments).out
    request = simulator.requests("OpenIssue")[0]
    assert (request.device_id, request.severity, request.reason) == (samples.WEB, "low", "loud")
    assert "Already open: fan" in operator(*arguments).out
    value = json.loads(operator(*arguments, "-o", "json").out)
    assert value["issues"][0]["opened"] is False


def test_more_issues_are_closed_than_the_server_takes_at_once(simulator, operator):
    samples.fill(simulator.state)
    ids = [f"01HZY3J5Q0G7X8K9M2N4{number:06}" for number in range(1200)]
    simulator.state.issues = [samples.issue(one) for one in ids]
    result = operator("issue", "close", "--all", "-o", "json")
    assert result.code == 0, result.err
    assert [item["issue_id"] for item in json.loads(result.out)["closed"]] == ids


def test_issue_close(simulator, operator):
    assert operator("issue", "close").code == 2
    result = operator("issue", "close", "web-1", "--name", "nothing")
    assert (result.code, result.out) == (3, "No matching issues.\n")
    result = operator("issue", "close", samples.ISSUE.lower(), "--reason", "mended")
    assert (result.code, "Closed firewall-disabled of web-1" in result.out) == (0, True)
    assert simulator.requests("CloseIssues")[-1].reason == "mended"
    simulator.state.issues = [samples.issue()]
    value = json.loads(operator("issue", "close", "--all", "-o", "json").out)
    assert len(value["closed"]) == 1


def test_check(simulator, operator, home):
    result = operator("check", "list")
    assert "firewall-disabled" in result.out
    assert "bad.yaml: unknown key spells" in result.err
    result = operator("check", "show", "firewall-disabled")
    for text in ("Failing:", samples.WEB, "  fails: {}"):
        assert text in result.out
    path = home / "new.yaml"
    path.write_text("name: new\n")
    assert operator("check", "test", str(path)).code == 0
    assert operator("check", "test", "-", stdin="name: new\n").code == 0
    assert simulator.requests("TestCheck")[1].source == "name: new\n"
    assert operator("check", "test", str(home / "none")).code == 2
    assert operator("check", "show", "none").code == 3


def test_check_json(operator):
    value = json.loads(operator("check", "list", "-o", "json").out)
    assert value["problems"] == [{"origin": "bad.yaml", "reason": "unknown key spells"}]
    value = json.loads(operator("check", "show", "firewall-disabled", "-o", "json").out)
    assert value["verdicts"]["failing"] == [{"device_id": samples.WEB, "hostname": "web-1"}]
    value = json.loads(operator("check", "test", "-", "-o", "json", stdin="a: b").out)
    assert value["check"]["source"] == "a: b"


def test_trail(simulator, operator):
    result = operator("trail")
    assert (result.code, result.out.count("plugins.")) == (0, 2)
    assert operator("trail", "--since", "3d").out.count("plugins.") == 1
    assert operator("trail", "web-1", "--key", "plugins.users").code == 3
    result = operator("trail", "--limit", "1", "-o", "json")
    value = json.loads(result.out)
    assert (value["more"], value["entries"][0]["new"]) == (True, "no")
    assert "older changes" in result.err
    for when in ("2026-11-25", "2026-11-25T10:00+02:00"):
        assert operator("trail", "--since", when).code in (0, 3)
    assert operator("trail", "--since", "yesterday").code == 2
    assert operator("trail", "--limit", "0").code == 2


def test_server_status(simulator, operator):
    result = operator("server", "status")
    pinned = trust.document_hash(simulator.state.trust[0].envelope.payload).hex()
    for text in ("4 active, 1 pending", "alice (admin)", "disk is nearly full", pinned, "none yet"):
        assert text in result.out
    value = json.loads(operator("server", "status", "-o", "json").out)
    assert (value["self"]["roles"], value["pinned_trust_hash"]) == (["admin"], pinned)


def test_config_dir_option_names_the_profile(operator):
    assert operator("--config-dir", str(operator.profile), "token", "list").code == 0
    assert operator("--config-dir", str(operator.home / "else"), "token", "list").code == 6


def test_unreachable_server_ends_with_5(fresh, ctl):
    ctl("init", stdin=fresh.invitation())
    fresh.stop()
    result = ctl("device", "list")
    assert result.code == 5
    assert f"127.0.0.1:{fresh.main_port}" in result.err
    assert "—" in result.err
