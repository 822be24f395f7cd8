"""penguinctl device: listing, showing and deciding who is in."""

import json
import time

import pytest

from penguindome import trust
from penguindome.envelope import Envelope, open_envelope
from penguindome.errors import Forbidden
from penguindome.times import utc_now
from tests.penguinctl import samples


@pytest.fixture
def fleet_of_six(simulator):
    samples.fill(simulator.state)
    return simulator


def test_list_shows_pending_and_active(fleet_of_six, operator):
    result = operator("device", "list")
    assert result.code == 0
    assert "HOSTNAME" in result.out
    assert "3 h ago" in result.out
    assert "never" in result.out
    assert samples.WAITING in result.out
    assert samples.GONE not in result.out


def test_list_takes_selectors_and_states(fleet_of_six, operator):
    arguments = ["device", "list", "web-*", "label:sales", "failing:firewall-disabled"]
    value = json.loads(operator(*arguments, "-o", "json").out)
    assert [item["device_id"] for item in value["devices"]] == [samples.WEB]
    value = json.loads(operator("device", "list", "--state", "revoked", "-o", "json").out)
    assert [item["hostname"] for item in value["devices"]] == ["old-1"]


def test_list_json_has_the_documented_shape(fleet_of_six, operator):
    value = json.loads(operator("device", "list", "web-1", "--output", "json").out)
    item = value["devices"][0]
    assert item["last_report_time"].endswith("Z")
    assert set(item) == {
        "device_id", "hostname", "state", "connected", "enrolled_time", "last_report_time",
        "last_seen_time", "agent_version", "os_name", "labels", "open_issues", "key_fingerprint",
        "peer_address", "approved_by", "same_hardware", "certificate_expires_time",
        "clock_skew_ms", "held_by", "held_reason", "suspended", "user_email",
    }  # fmt: skip


def test_list_without_a_match_ends_with_3(fleet_of_six, operator):
    result = operator("device", "list", "nobody")
    assert (result.code, result.out) == (3, "No matching devices.\n")
    result = operator("device", "list", "nobody", "-o", "json")
    assert (result.code, json.loads(result.out)) == (3, {"devices": []})


def test_list_of_an_empty_fleet_is_no_failure(simulator, operator):
    assert operator("device", "list").code == 0


def test_bad_selector_names_the_forms(fleet_of_six, operator):
    result = operator("device", "list", "tag:x")
    assert (result.code, "label:WORD" in result.err) == (2, True)


@pytest.mark.parametrize("form", ["table", "json"])
def test_list_of_2000_devices_takes_700_ms(simulator, operator, form):
    letters = str.maketrans("0189", "abce")
    simulator.state.devices = [
        samples.device(f"d-{index:016}".translate(letters), f"host-{index}")
        for index in range(2000)
    ]
    spans = []
    for _ in range(4):
        start = time.perf_counter()
        result = operator("device", "list", "-o", form)
        spans.append(time.perf_counter() - start)
        assert "host-1999" in result.out
    assert min(spans) <= 0.7, spans


def test_show_and_its_outputs(fleet_of_six, operator):
    result = operator("device", "show", "web-1")
    assert result.code == 0
    assert samples.FINGERPRINT in result.out
    assert "no operator signed this device's key" in result.out
    assert "took 60 s" in result.out
    assert '"active": false' not in result.out
    result = operator("device", "show", samples.WEB, "--plugin", "firewall")
    assert '"active": false' in result.out


def test_show_json(fleet_of_six, operator):
    value = json.loads(operator("device", "show", "web-1", "-o", "json").out)
    assert value["device"]["hostname"] == "web-1"
    assert value["outputs"][0]["value"] == {"active": False}
    assert value["outputs"][1]["value"] is None


def test_show_of_nobody_and_of_no_plugin(fleet_of_six, operator):
    assert operator("device", "show", "nobody").code == 3
    assert operator("device", "show", "web-1", "--plugin", "none").code == 3


def test_history(fleet_of_six, operator):
    result = operator("device", "history", "web-1", "--since", "3d", "--key", "plugins.fire")
    assert result.code == 0
    assert "plugins.firewall.active" in result.out
    request = fleet_of_six.requests("ListTrail")[-1]
    assert (request.device_id, list(request.selectors)) == (samples.WEB, [])
    deleted = operator("device", "history", "d-gggggggggggggggg", "--limit", "5")
    assert (deleted.code, fleet_of_six.requests("ListTrail")[-1].limit) == (3, 5)


def test_approve_signs_id_and_key(fleet_of_six, operator):
    typed = samples.FINGERPRINT[:12] + "\n"
    result = operator("device", "approve", "new-1", "--reason", "hired", stdin=typed)
    assert result.code == 0, result.err
    for text in (samples.WAITING, "new-1", "Debian", "10.0.0.7", samples.FINGERPRINT, samples.GONE):
        assert text in result.err
    request = fleet_of_six.requests("ApproveDevice")[0]
    approval = request.approval
    payload = open_envelope(
        Envelope(approval.kind, approval.payload, tuple(approval.signatures)),
        trust=trust.from_payload(fleet_of_six.state.trust[0].envelope.payload),
        role="approve",
        fleet=fleet_of_six.fleet,
        device_id=samples.WAITING,
        now=utc_now(),
    )
    assert payload.kind == "enroll"
    assert payload.body == {"device_id": samples.WAITING, "fingerprint": samples.FINGERPRINT}
    assert (payload.devices, payload.reason, payload.by) == ((samples.WAITING,), "hired", "alice")


@pytest.mark.parametrize(
    "typed", ["", "\n", "ab12cd34\n", "ab12cd34ab1\n", "000000000000\n", "y\n"]
)
def test_approve_needs_the_fingerprint(fleet_of_six, operator, typed):
    result = operator("device", "approve", "new-1", stdin=typed)
    assert result.code == 6
    assert fleet_of_six.requests("ApproveDevice") == []


def test_approve_yes_does_not_ask(fleet_of_six, operator):
    value = operator("device", "approve", samples.WAITING, "--yes", "-o", "json")
    assert json.loads(value.out)["state"] == "active"


def test_approve_of_an_active_device_is_refused(fleet_of_six, operator):
    result = operator("device", "approve", "web-1", "--yes")
    assert (result.code, "is active" in result.err) == (6, True)


@pytest.mark.parametrize("verb", ["revoke", "approve", "delete"])
@pytest.mark.parametrize("name", ["web-*", "label:sales", "failing:firewall-disabled", "we[b]-1"])
def test_one_device_has_to_be_named(fleet_of_six, operator, verb, name):
    assert operator("device", verb, name, "--yes").code == 2
    assert [called for called, _ in fleet_of_six.calls] == []


def test_twins_are_listed_and_nothing_is_done(fleet_of_six, operator):
    result = operator("device", "revoke", "twin", "--yes")
    assert result.code == 6
    assert samples.TWIN_1 in result.err
    assert samples.TWIN_2 in result.err
    assert fleet_of_six.requests("RevokeDevice") == []
    assert operator("device", "revoke", samples.TWIN_2, "--reason", "clone").code == 0
    request = fleet_of_six.requests("RevokeDevice")[0]
    assert (request.device_id, request.reason) == (samples.TWIN_2, "clone")


def test_revoke_of_a_waiting_device(fleet_of_six, operator):
    value = operator("device", "revoke", "new-1", "-o", "json")
    assert json.loads(value.out) == {
        "device_id": samples.WAITING,
        "hostname": "new-1",
        "state": "revoked",
    }


def test_revoke_of_a_revoked_device_says_that_it_is(fleet_of_six, operator):
    result = operator("device", "revoke", "old-1")
    assert (result.code, fleet_of_six.requests("RevokeDevice")) == (6, [])
    assert f"the device {samples.GONE} is revoked, not active or pending" in result.err


def test_revoke_at_a_terminal_asks(fleet_of_six, operator):
    result = operator.terminal("device", "revoke", "web-1", typed=b"no\n")
    assert (result.code, fleet_of_six.requests("RevokeDevice")) == (6, [])
    assert operator.terminal("device", "revoke", "web-1", typed=b"web-1\n").code == 0


def test_delete_takes_revoked_ones_and_a_typed_name(fleet_of_six, operator):
    assert operator("device", "delete", "web-1", "--yes").code == 6
    assert operator("device", "delete", "old-1", stdin="yes\n").code == 6
    assert fleet_of_six.requests("DeleteDevice") == []
    assert operator("device", "delete", "old-1", stdin="old-1\n").code == 0
    assert operator("device", "delete", "old-1", "--yes").code == 3


def test_label(fleet_of_six, operator):
    arguments = ["device", "label", "web-1", "--add", "prod", "--add", "eu", "--remove", "sales"]
    result = operator(*arguments)
    assert (result.code, result.out) == (0, f"web-1 ({samples.WEB}): eu, prod\n")
    assert operator("device", "label", "web-1").code == 2
    assert operator("device", "label", "nobody", "--add", "x").code == 3


def test_collect(fleet_of_six, operator):
    assert operator("device", "collect", "web-1", "--plugin", "firewall").code == 0
    assert list(fleet_of_six.requests("CollectDevice")[0].plugins) == ["firewall"]
    result = operator("device", "collect", "db-1", "web-1", "-o", "json")
    assert result.code == 6
    assert [item["delivered"] for item in json.loads(result.out)["devices"]] == [False, True]


def test_refusal_by_role_ends_with_4(fleet_of_six, operator):
    refusal = Forbidden("this needs the role admin", remedy="Ask an admin")
    fleet_of_six.failures = {"RevokeDevice": refusal}
    result = operator("device", "revoke", "web-1")
    assert (result.code, result.err) == (
        4,
        "penguinctl: this needs the role admin — Ask an admin\n",
    )
