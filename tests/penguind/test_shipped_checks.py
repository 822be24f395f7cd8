"""What every shipped check says about recorded outputs: one row for each kind of answer."""

from __future__ import annotations

import asyncio

import pytest

from penguind.check_loader import shipped_checks
from tests.harness.judging import judging

NA = "not-applicable"
ERROR = ("error", None)
TIMEOUT = ("timeout", None)
UNKNOWN = ("unknown", None)
MISSING = (NA, None)


def ssh(status: str = "running", **config: object) -> dict[str, object]:
    usual = {
        "passwordauthentication": "no",
        "kbdinteractiveauthentication": "no",
        "usepam": "yes",
        "permitrootlogin": "prohibit-password",
    }
    return {"sshd": {"status": status, "config": {**usual, **config}}}


def disks(*encrypted: object) -> dict[str, object]:
    rows = [
        {"mountpoint": f"/m{number}", "device": "/dev/x", "type": "ext4", "encrypted": one}
        for number, one in enumerate(encrypted)
    ]
    return {"hd_encryption": rows}


def lock(*enabled: object) -> dict[str, object]:
    users = [
        {"user": f"u{number}", "enabled": one, "delay": 300} for number, one in enumerate(enabled)
    ]
    return {"screenlock": {"users": users}}


def updates(**values: object) -> dict[str, object]:
    return {"os_updates": {"release": False, "security_patches": False, **values}}


def agent(**values: object) -> dict[str, object]:
    usual = {"version": "1", "dead_letters": 0, "benched": [], "problems": [], "clock": "ok"}
    return {"agent": {**usual, **values}}


SSH = "ssh-password-authentication"
ROOT = "ssh-root-password-authentication"
DISK = "unencrypted-hard-drive"
LOCK = "screenlock-disabled"
PATCHES = "os-security-patches-available"
RELEASE = "os-update-available"
GUEST = "guest-session-enabled"

ROWS = [
    (SSH, ssh(), "pass"),
    (SSH, ssh(passwordauthentication="yes"), "fail"),
    (SSH, ssh(kbdinteractiveauthentication="yes"), "fail"),
    (SSH, ssh(kbdinteractiveauthentication="yes", usepam="no"), "pass"),
    (SSH, ssh(challengeresponseauthentication="yes"), "fail"),
    (SSH, ssh("stopped", passwordauthentication="yes"), NA),
    (SSH, {"sshd": {"status": "missing"}}, NA),
    (SSH, {"sshd": {"status": "running", "config": "unknown"}}, "unknown"),
    (SSH, {"sshd": {"status": "running", "config": {}}}, "unknown"),
    (ROOT, ssh(), "pass"),
    (ROOT, ssh(permitrootlogin="yes"), "pass"),
    (ROOT, ssh(permitrootlogin="yes", passwordauthentication="yes"), "fail"),
    (ROOT, ssh(permitrootlogin="yes", kbdinteractiveauthentication="yes"), "fail"),
    (ROOT, ssh(permitrootlogin="without-password", passwordauthentication="yes"), "pass"),
    (ROOT, {"sshd": {"status": "running", "config": {"permitrootlogin": "yes"}}}, "fail"),
    (ROOT, {"sshd": {"status": "running", "config": "unknown"}}, "unknown"),
    (ROOT, ssh("stopped", permitrootlogin="yes", passwordauthentication="yes"), NA),
    ("firewall-disabled", {"firewall": {"status": "on", "layers": {}}}, "pass"),
    ("firewall-disabled", {"firewall": {"status": "off"}}, "fail"),
    ("firewall-disabled", {"firewall": {"status": "unknown"}}, "unknown"),
    (DISK, disks(True, True), "pass"),
    (DISK, disks(True, False), "fail"),
    (DISK, disks(False, "unknown"), "fail"),
    (DISK, disks(True, "unknown"), "unknown"),
    (DISK, disks(), "fail"),
    (DISK, {"hd_encryption": "unknown"}, "unknown"),
    (LOCK, lock(True, True), "pass"),
    (LOCK, lock(True, False), "fail"),
    (LOCK, lock("unknown", False), "fail"),
    (LOCK, lock(True, "unknown"), "unknown"),
    (LOCK, lock(), NA),
    (LOCK, {"screenlock": None}, NA),
    (LOCK, {"screenlock": ("cached", {"users": [{"user": "u", "enabled": False}]})}, "fail"),
    (PATCHES, updates(), "pass"),
    (PATCHES, updates(security_patches=True), "fail"),
    (PATCHES, updates(security_patches="unknown"), "unknown"),
    (PATCHES, {"os_updates": {"release": True}}, "unknown"),
    (PATCHES, {"os_updates": "unknown"}, "unknown"),
    (RELEASE, updates(), "pass"),
    (RELEASE, updates(release=True), "fail"),
    (RELEASE, updates(release="unknown"), "unknown"),
    (GUEST, {"guest_session": {"enabled": False}}, "pass"),
    (GUEST, {"guest_session": {"enabled": True}}, "fail"),
    (GUEST, {"guest_session": {"enabled": "unknown"}}, "unknown"),
    (GUEST, {"guest_session": None}, NA),
    ("eraagent-absent", {"eraagent": {"installed": True, "running": False}}, "pass"),
    ("eraagent-absent", {"eraagent": {"installed": False, "running": False}}, "fail"),
    ("eraagent-absent", {"eraagent": {}}, "unknown"),
    ("eraagent-stopped", {"eraagent": {"installed": True, "running": True}}, "pass"),
    ("eraagent-stopped", {"eraagent": {"installed": True, "running": False}}, "fail"),
    ("eraagent-stopped", {"eraagent": {"installed": True}}, "unknown"),
    ("eraagent-stopped", {"eraagent": {"installed": False, "running": False}}, NA),
    ("eset-absent", {"eset": {"installed": True}}, "pass"),
    ("eset-absent", {"eset": {"installed": False}}, "fail"),
    ("eset-absent", {"eset": "unknown"}, "unknown"),
    ("eset-stopped", {"eset": {"installed": True, "running": True}}, "pass"),
    ("eset-stopped", {"eset": {"installed": True, "running": False}}, "fail"),
    ("eset-stopped", {"eset": {"installed": True, "running": "unknown"}}, "unknown"),
    ("eset-stopped", {"eset": {"installed": False}}, NA),
    ("eset-out-of-date", {"eset": {"installed": True, "recent": True}}, "pass"),
    ("eset-out-of-date", {"eset": {"installed": True, "recent": False}}, "fail"),
    ("eset-out-of-date", {"eset": {"installed": True}}, "unknown"),
    ("eset-out-of-date", {"eset": {"installed": False, "recent": False}}, NA),
    ("no-location", {"geolocation": {"location": {"lat": 1.5, "lng": 2.5}}}, "pass"),
    ("no-location", {"geolocation": UNKNOWN}, "fail"),
    ("no-location", {"geolocation": "unknown"}, "fail"),
    ("no-location", {"geolocation": ERROR}, NA),
    ("no-location", {}, NA),
    ("plugin-failing", {"sshd": {"status": "stopped"}, **agent()}, "pass"),
    ("plugin-failing", {}, "pass"),
    ("plugin-failing", {"sshd": ERROR}, "fail"),
    ("plugin-failing", {"sshd": TIMEOUT}, "fail"),
    ("plugin-failing", {"sshd": UNKNOWN, "eset": MISSING}, "pass"),
    ("plugin-failing", agent(benched=["sshd"]), "fail"),
    ("plugin-failing", agent(problems=[{"plugin": "x", "reason": "y"}]), "fail"),
    ("plugin-failing", agent(dead_letters=1), "pass"),
    ("poison-report", agent(), "pass"),
    ("poison-report", agent(dead_letters=1), "fail"),
    ("not-reporting", {}, "pass"),
    ("order-refused", agent(), "pass"),
    ("order-refused", agent(refused_orders={"count": 0, "reason": ""}), "pass"),
    ("order-refused", agent(refused_orders={"count": 1, "reason": "why"}), "fail"),
    ("altered-plugins", agent(), "pass"),
    ("altered-plugins", agent(altered=[]), "pass"),
    ("altered-plugins", agent(altered=["plugins/sshd"]), "fail"),
]


@pytest.fixture(scope="module")
def answers(mongo_uri):
    """Judge all rows with one database."""

    async def judge() -> list[dict[str, str]]:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one")
            return [await bench.verdicts("d-one", outputs) for _, outputs, _ in ROWS]

    return asyncio.run(judge())


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_recorded_output_gets_its_verdict(answers, number):
    check, outputs, expected = ROWS[number]
    assert answers[number][check] == expected, outputs


RULES = sorted(name for name, check in shipped_checks().items() if check.fails is not None)
WITH_PLUGIN = sorted(name for name, check in shipped_checks().items() if check.plugin)


def test_every_check_is_tabled_with_pass_and_fail():
    tabled = {(check, verdict) for check, _, verdict in ROWS}
    missing = {(name, verdict) for name in RULES for verdict in ("pass", "fail")} - tabled
    assert missing == {("not-reporting", "fail")}


def test_output_that_is_no_answer_is_never_a_failure(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one")
            for outcome, expected in (
                (ERROR, "unknown"),
                (TIMEOUT, "unknown"),
                (UNKNOWN, "unknown"),
                (MISSING, NA),
            ):
                outputs = {check.plugin: outcome for check in shipped_checks().values()}
                outputs.pop("")
                found = await bench.verdicts("d-one", outputs)
                assert {found[name] for name in WITH_PLUGIN} == {expected}

    asyncio.run(run())


def test_device_without_plugins_fails_nothing(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one")
            found = await bench.verdicts("d-one", {})
            assert set(found.values()) == {"pass", NA}
            assert {found[name] for name in WITH_PLUGIN} == {NA}

    asyncio.run(run())


def test_silence_is_seen_by_the_server_alone(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-late")
            await bench.add("d-fast")
            bench.passes(hours=23)
            assert await bench.audit() == ([], [])
            bench.passes(hours=2)
            assert await bench.audit() == (["not-reporting", "not-reporting"], [])

    asyncio.run(run())


def test_a_failing_plugin_is_named_with_its_reason_until_it_works(mongo_uri):
    async def run() -> None:
        async with judging(mongo_uri) as bench:
            await bench.add("d-one", {"eset": UNKNOWN, "sshd": ERROR, **agent(benched=["users"])})
            states = bench.database.db["states"]
            await states.update_one({}, {"$set": {"outputs.1.reason": "not JSON"}})
            await bench.audit()
            (issue,) = [o for o in await bench.issues.find_open() if o.name == "plugin-failing"]
            evidence = (await bench.issues.get(issue.issue_id)).evidence
            assert [one["name"] for one in evidence["outputs"]] == ["sshd", "eset"]
            assert evidence["outputs"][0]["reason"] == "not JSON"
            assert evidence["plugins.agent.benched"] == ["users"]
            bench.passes(minutes=5)
            await bench.report("d-one", {"sshd": {"status": "stopped"}, **agent()})
            assert "plugin-failing" in (await bench.audit())[1]

    asyncio.run(run())


def test_kinds_that_the_server_opens_have_words():
    checks = shipped_checks()
    for name in (
        "agent-flooding", "agent-outdated", "clock-skew", "deprecated-port", "duplicate-hostname",
        "expiring-certificate", "pending-patches", "release-ending", "release-failed",
        "release-halted", "release-outdated",
    ):  # fmt: skip
        assert checks[name].fails is None
        assert checks[name].summary
        assert checks[name].remedy
