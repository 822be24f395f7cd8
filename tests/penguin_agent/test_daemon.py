"""The daemon against a server over real mTLS that does not always behave."""

import json
import time
from datetime import timedelta

import pytest

from penguindome.errors import InternalError, InvalidInput, LimitExceeded, Unauthenticated
from penguindome.v1 import agent_pb2
from tests.penguin_agent.agent_process import HELLO, eventually

DAY = timedelta(days=1)


@pytest.fixture
def running(agent, simulator):
    """Return an agent whose first report has arrived."""
    agent.enroll(simulator.token())
    agent.start()
    eventually(lambda: simulator.device.model.stored)
    eventually(lambda: agent.status()["spool_depth"] == 0)
    return agent


def ask_to_collect(simulator, request_id="r1"):
    simulator.push(collect_now=agent_pb2.CollectNow(request_id=request_id))


def answered(simulator, request_id="r1"):
    stored = simulator.device.model.stored
    return next((each for each in stored if each.request_id == request_id), None)


def test_the_first_report_is_full_and_the_next_says_only_what_changed(running, simulator):
    first = simulator.device.model.stored[0]
    assert first.full
    assert {output.name for output in first.outputs} == {"hello", "agent"}
    running.plugin("hello", HELLO.replace("1}", "2}"))
    ask_to_collect(simulator)
    second = eventually(lambda: answered(simulator))
    assert not second.full
    assert [output.name for output in second.outputs] == ["hello"]
    ask_to_collect(simulator, "r2")
    third = eventually(lambda: answered(simulator, "r2"))
    assert third.outputs == ()
    assert third.base_hash == third.state_hash


def test_a_plugin_that_went_is_taken_back(running, simulator):
    running.plugin("second", HELLO)
    ask_to_collect(simulator)
    eventually(lambda: answered(simulator))
    (running.plugins / "second").unlink()
    ask_to_collect(simulator, "r2")
    assert eventually(lambda: answered(simulator, "r2")).removed == ("second",)


def test_a_lost_acknowledgement_changes_nothing(running, simulator):
    simulator.mischief.lost_acknowledgements = 2
    ask_to_collect(simulator)
    eventually(lambda: answered(simulator))
    eventually(lambda: running.status()["spool_depth"] == 0)
    ids = [report.report_id for report in simulator.device.model.stored]
    assert len(ids) == len(set(ids))


def test_a_server_that_lost_the_state_gets_a_full_report(running, simulator):
    simulator.mischief.need_full = 1
    ask_to_collect(simulator)
    assert eventually(lambda: answered(simulator)).full
    assert set(simulator.device.model.values) == {"hello", "agent"}


def test_a_refused_output_is_put_aside_and_blocks_nothing(running, simulator):
    simulator.device.model.poison.add(b'{"bad":true}')
    running.plugin("bad", "#!/bin/sh\necho '{\"bad\": true}'\n")
    ask_to_collect(simulator)
    eventually(lambda: "bad" in simulator.device.model.values)
    assert simulator.device.model.values["bad"] == b""
    ask_to_collect(simulator, "r2")
    eventually(lambda: b'"dead_letters":1' in simulator.device.model.values["agent"])
    assert running.status()["dead_letters"] == 1
    (letter,) = (running.state / "dead-letters").iterdir()
    assert "poison" in json.loads(letter.read_text())["reason"]


def test_only_the_output_that_the_server_names_is_left_out(running, simulator):
    running.plugin("bad", HELLO)
    simulator.mischief.refusals = [InvalidInput("two lines", code="bad-report", subject="bad")]
    ask_to_collect(simulator)
    eventually(lambda: "bad" in simulator.device.model.values)
    model = simulator.device.model
    assert model.values["bad"] == b""
    assert json.loads(model.values["hello"]) == {"hello": 1}
    assert running.status()["spool_depth"] == 0


def test_errors_of_the_server_are_outlived(running, simulator):
    simulator.mischief.refusals = [
        InternalError("a bug"),
        LimitExceeded("slow down", retry_after_seconds=1),
    ]
    ask_to_collect(simulator)
    eventually(lambda: not simulator.mischief.refusals)
    assert running.status()["spool_depth"] == 1
    assert running.status()["trouble"]


def test_a_refusal_without_a_name_makes_the_next_report_full(running, simulator):
    simulator.mischief.refusals = [InvalidInput("nonsense")]
    ask_to_collect(simulator)
    eventually(lambda: running.status()["dead_letters"] == 1)
    ask_to_collect(simulator, "r2")
    assert eventually(lambda: answered(simulator, "r2")).full


def test_an_ended_stream_comes_back(running, simulator):
    simulator.push(go_away=agent_pb2.GoAway(retry_after_seconds=1, reason="upgrade"))
    eventually(lambda: len(simulator.device.checkins) == 2)
    simulator.stop()
    eventually(lambda: not running.status()["connected"])
    simulator.start()
    eventually(lambda: running.status()["connected"])
    ratchets = [each.ratchet for each in simulator.device.checkins]
    assert ratchets[0] == b""
    assert len(set(ratchets)) == len(ratchets)


def test_a_stream_that_ends_while_a_report_is_under_way_costs_only_another_try(running, simulator):
    simulator.mischief.hung_reports = 1
    ask_to_collect(simulator)
    eventually(lambda: simulator.hanging)
    simulator.push(go_away=agent_pb2.GoAway(retry_after_seconds=1, reason="upgrade"))
    assert eventually(lambda: answered(simulator))
    eventually(lambda: not running.status()["spool_depth"])


def test_a_server_that_hears_no_confirmations_is_good_enough(agent, simulator):
    simulator.mischief.old = True
    agent.enroll(simulator.token())
    agent.start()
    eventually(lambda: agent.status()["connected"])
    assert simulator.device.confirmed == simulator.device.handed_out


def test_a_value_that_cannot_be_kept_is_not_confirmed(agent, simulator):
    agent.enroll(simulator.token())
    # A folder in its place stands for a disk that is full.
    (agent.state / "state" / "ratchet").mkdir(parents=True)
    agent.start()
    eventually(lambda: agent.status()["connected"])
    assert simulator.device.confirmed == []
    assert "cannot be kept" in agent.log()


def test_a_refused_certificate_is_renewed_at_once(running, simulator):
    started = time.monotonic()
    simulator.push(heartbeat=agent_pb2.Heartbeat())
    simulator.device.streams[-1].put(Unauthenticated("expired", code="expired"))
    eventually(lambda: len(simulator.device.serials) == 2)
    assert time.monotonic() - started < 5
    eventually(lambda: running.status()["connected"])
    ask_to_collect(simulator, "r3")
    eventually(lambda: answered(simulator, "r3"))


def test_a_certificate_that_expired_long_ago_is_renewed(agent, simulator):
    simulator.mischief.certificate_start = -400 * DAY
    simulator.mischief.certificate_end = -386 * DAY
    agent.enroll(simulator.token())
    simulator.mischief.certificate_start = timedelta()
    simulator.mischief.certificate_end = 14 * DAY
    agent.start()
    eventually(lambda: simulator.device.model.stored)
    assert len(simulator.device.serials) == 2


def test_a_failed_renewal_lets_a_good_certificate_serve_on(agent, simulator):
    simulator.mischief.certificate_start = -7 * DAY
    simulator.mischief.certificate_end = 7 * DAY
    simulator.mischief.refuse_renewal = InternalError("not today")
    agent.enroll(simulator.token())
    agent.start()
    eventually(lambda: simulator.device.model.stored)
    assert "could not be renewed" in agent.log()


def test_a_clock_that_is_out_is_told(agent, simulator):
    simulator.mischief.time_offset = timedelta(hours=3)
    agent.enroll(simulator.token())
    agent.start()
    eventually(lambda: agent.status().get("connected"))
    ask_to_collect(simulator)
    eventually(lambda: b'"clock":"wrong"' in simulator.device.model.values.get("agent", b""))
    assert agent.status()["clock"]["skew_seconds"] < -10000
    assert "set-ntp" in agent.run("status")


def test_new_trust_is_fetched_verified_and_kept(running, simulator, fleet):
    document = fleet.document("alice", "bob", version=2, tls_anchors=())
    anchors = fleet.document("alice").tls_anchors
    del anchors
    from penguindome import certs  # noqa: PLC0415 -- only here

    document = fleet.document(
        "alice", version=2, tls_anchors=(certs.pem_to_der(simulator.anchor.pem),)
    )
    simulator.chain.append(fleet.publish(document, "mallory"))
    simulator.push(trust_changed=agent_pb2.TrustChanged(version=2))
    eventually(lambda: "is not taken" in running.log())
    assert not (running.state / "trust/2.json").exists()
    simulator.chain[1] = fleet.publish(document, "alice")
    simulator.push(trust_changed=agent_pb2.TrustChanged(version=2))
    eventually((running.state / "trust/2.json").exists)


def test_verdicts_are_shown_online_and_offline_without_control_characters(running, simulator):
    online = running.run("issues")
    assert "firewall-disabled" in online
    assert "\x1b" not in online
    simulator.stop()
    assert running.run("issues") == online
    running.stop()
    assert running.run("issues").startswith(online)


def test_the_owner_can_forbid_collections_on_request(agent, simulator):
    agent.config.write_text(agent.config.read_text() + "[allow]\ncollect_now = false\n")
    agent.enroll(simulator.token())
    agent.start()
    eventually(lambda: simulator.device.model.stored)
    ask_to_collect(simulator)
    time.sleep(1)
    assert answered(simulator) is None


def test_the_daemon_ends_quickly_and_cleanly(running):
    started = time.monotonic()
    assert running.stop() == 0
    assert time.monotonic() - started < 3
    assert not (running.folder / "run/agent.sock").exists()
    assert "Traceback" not in running.log()
    assert running.run("status", code=5)


def test_a_second_daemon_is_refused(running):
    assert "another penguin-agent" in running.run("run", code=6)
    assert running.status()["running"]


def test_an_enrollment_wakes_the_waiting_daemon(agent, simulator):
    agent.start()
    eventually(lambda: agent.status()["running"])
    agent.enroll(simulator.token())
    eventually(lambda: simulator.device.model.stored, 5)


def test_what_collect_prints_is_what_is_sent(running, simulator):
    count = len(simulator.device.model.stored)
    printed = json.loads(running.run("collect", "-o", "json"))["outputs"]
    sent = {name: json.loads(text) for name, text in simulator.device.model.values.items()}
    assert {each["name"]: each["json"] for each in printed} == sent
    assert running.run("collect", "hello").startswith("hello (ok)")
    assert "no such plugin" in running.run("collect", "nothing", code=1)
    assert len(simulator.device.model.stored) == count


def test_unenrolling_ends_the_daemon_and_leaves_nothing_of_the_fleet(running):
    running.run("unenroll")
    assert running.ended(5) == 0
    assert not list((running.state / "identity").iterdir())
    assert not list((running.state / "trust").iterdir())
    for name in ("spool", "state", "dead-letters", "verdicts.json"):
        assert not (running.state / name).exists()
    assert running.run("status", code=5).count("not enrolled") == 1
