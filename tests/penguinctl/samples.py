"""A small fleet for the simulator."""

import time

from penguindome.v1 import check_pb2, device_pb2, issue_pb2, parameter_pb2, token_pb2, trail_pb2

NOW_MS = int(time.time() * 1000)
HOUR_MS = 3_600_000
WEB = "d-aaaaaaaaaaaaaaaa"
DB = "d-bbbbbbbbbbbbbbbb"
TWIN_1 = "d-cccccccccccccccc"
TWIN_2 = "d-dddddddddddddddd"
WAITING = "d-eeeeeeeeeeeeeeee"
GONE = "d-ffffffffffffffff"
ISSUE = "01HZY3J5Q0G7X8K9M2N4P6R8ST"
ORDER = "01M8ASVXWBMX5MTENDP9SRZMF2"
WIPE = "01M8ASVXWBMX5MTENDP9SRZMF3"
FINGERPRINT = "ab12cd34" * 8


def device(device_id, hostname, state="active", **changes):
    fields = {
        "connected": state == "active",
        "enrolled_unix_ms": NOW_MS - 48 * HOUR_MS,
        "last_report_unix_ms": NOW_MS - 3 * HOUR_MS,
        "last_seen_unix_ms": NOW_MS,
        "agent_version": "0.1.0",
        "os_name": "Debian GNU/Linux 12",
        "labels": ["sales"],
        "open_issues": ["firewall-disabled"],
        "key_fingerprint": FINGERPRINT,
        "peer_address": "10.0.0.7",
        "approved_by": "token",
        "same_hardware": [],
        "certificate_expires_unix_ms": NOW_MS + 300 * HOUR_MS,
        "clock_skew_ms": -1500,
    } | changes
    return device_pb2.Device(device_id=device_id, hostname=hostname, state=state, **fields)


def issue(issue_id=ISSUE, state="open", **changes):
    fields = {
        "device_id": WEB,
        "hostname": "web-1",
        "name": "firewall-disabled",
        "severity": "high",
        "opened_unix_ms": NOW_MS - HOUR_MS,
        "grace_until_unix_ms": NOW_MS + HOUR_MS,
        "summary": "the firewall is off",
        "remedy": "run ufw enable",
        "evidence": b'{"firewall": {"active": false}}',
    } | changes
    event = issue_pb2.IssueEvent(
        time_unix_ms=NOW_MS - HOUR_MS, event="opened", actor="server", reason="the check failed"
    )
    return issue_pb2.Issue(issue_id=issue_id, state=state, timeline=[event], **fields)


def change(entry_id, device_id=WEB, key="plugins.firewall.active", hours=1):
    return trail_pb2.TrailEntry(
        entry_id=entry_id,
        device_id=device_id,
        hostname="web-1",
        received_unix_ms=NOW_MS - hours * HOUR_MS,
        collected_unix_ms=NOW_MS - hours * HOUR_MS,
        type="change",
        key=key,
        old_json=b"true",
        new_json=b'"no"',
    )


def token():
    return token_pb2.Token(
        token_id="0123456789abcdef",
        state="active",
        uses=1,
        max_uses=5,
        expires_unix_ms=NOW_MS + 47 * HOUR_MS,
        created_by="alice",
        created_unix_ms=NOW_MS - HOUR_MS,
        cidrs=["10.0.0.0/8"],
        needs_approval=True,
        labels=["sales"],
        note="spring hires",
    )


def parameter(device_id=WEB, hostname="web-1", **changes):
    values = {"name": "user_email", "values": ["ann@example.com"], "set_by": "alice"} | changes
    return parameter_pb2.Parameter(
        device_id=device_id, hostname=hostname, set_unix_ms=NOW_MS - HOUR_MS, **values
    )


def fill(state):
    """Put one of everything into a simulator's state."""
    state.devices = [
        device(DB, "db-1", labels=[], open_issues=[], connected=False, last_report_unix_ms=0),
        device(TWIN_1, "twin"),
        device(TWIN_2, "twin"),
        device(WAITING, "new-1", "pending", same_hardware=[GONE]),
        device(WEB, "web-1"),
        device(GONE, "old-1", "revoked"),
    ]
    state.outputs = [
        device_pb2.DeviceOutput(
            name="firewall", status="ok", json=b'{"active": false}', collected_unix_ms=NOW_MS
        ),
        device_pb2.DeviceOutput(name="zeta", status="timeout", reason="took 60 s", local=True),
    ]
    state.tokens = [token()]
    state.issues = [issue(), issue("01HZY3J5Q0G7X8K9M2N4P6R8SV", "closed", name="disk-noisy")]
    state.checks = [
        check_pb2.Check(
            name="firewall-disabled",
            summary="the firewall is off",
            severity="high",
            grace_seconds=3600,
            alert_period_seconds=86400,
            remedy="run ufw enable",
            source="name: firewall-disabled\nfails: {}\n",
            origin="shipped",
        )
    ]
    state.problems = [check_pb2.CheckProblem(origin="bad.yaml", reason="unknown key spells")]
    reference = check_pb2.DeviceReference(device_id=WEB, hostname="web-1")
    state.verdicts = check_pb2.CheckVerdicts(
        failing=[reference], passing=3, unknown=[reference], not_applicable=1
    )
    state.trail = [change("r2/00001"), change("r1/00001", DB, "plugins.users.0", 100)]
    for action in ("token.create", "device.revoke", "device.delete"):
        state.append_ledger(action, WEB)
    state.parameters = [parameter()]
    return state
