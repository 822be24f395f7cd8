"""Enrolling: everything is verified before the secret is sent."""

import json
from datetime import timedelta

import pytest

from penguindome import certs
from penguindome.keys import fingerprint
from tests.penguin_agent.agent_process import eventually
from tests.penguin_agent.server_simulator import Authority


def test_a_token_on_standard_input_makes_an_identity(agent, simulator):
    answer = json.loads(agent.enroll(simulator.token(), "-o", "json").partition("The daemon")[0])
    assert answer["enrolled"]
    assert answer["device_id"] == simulator.device.device_id
    assert answer["fingerprint"] == fingerprint(simulator.device.spki)
    files = {
        path.name: path.stat().st_mode & 0o777 for path in (agent.state / "identity").iterdir()
    }
    assert files == {"key.pem": 0o600, "certificate.pem": 0o600, "device.json": 0o600}
    assert (agent.state / "trust/1.json").exists()
    assert simulator.secret.hex() not in (agent.state / "identity/device.json").read_text()


def test_a_token_file_is_deleted_after_success_and_must_be_private(agent, simulator, folder):
    file = folder / "token"
    file.write_text(simulator.token())
    file.chmod(0o644)
    assert "chmod 600" in agent.run("enroll", "--token-file", str(file), code=6)
    file.chmod(0o600)
    agent.run("enroll", "--token-file", str(file))
    assert not file.exists()


def test_a_token_among_the_words_is_refused(agent, simulator):
    assert "standard input" in agent.run("enroll", simulator.token(), code=1)
    assert not simulator.devices


@pytest.mark.parametrize("cut", [10, 100, 300])
def test_a_damaged_token_is_refused_with_a_remedy(agent, simulator, cut):
    assert "Copy the whole line" in agent.enroll(simulator.token()[:-cut], code=1)


def test_a_server_with_another_certificate_gets_no_secret(agent, simulator):
    simulator.stop()
    simulator.server_pair = Authority("mallory").server_pair()
    simulator.start()
    agent.enroll(simulator.token(), code=5)
    assert simulator.secrets_seen == []
    assert not list((agent.state / "identity").iterdir())


def test_a_server_that_lies_about_trust_gets_no_secret(agent, simulator, fleet):
    other = fleet.publish(fleet.document("mallory"), "mallory")
    for chain in ([other], [], [other, simulator.chain[0]][:1]):
        simulator.mischief.chain = chain
        agent.enroll(simulator.token(), code=4)
    assert simulator.secrets_seen == []
    assert not list((agent.state / "identity").iterdir())
    assert not list((agent.state / "trust").iterdir())


def test_a_lost_answer_does_not_burn_a_second_use(agent, simulator):
    simulator.mischief.lost_enrollments = 1
    agent.enroll(simulator.token(), code=5)
    agent.enroll(simulator.token())
    assert len(simulator.devices) == 1


def test_a_device_enrolls_once(agent, simulator):
    agent.enroll(simulator.token())
    assert "already" in agent.enroll(simulator.token(), code=6)
    agent.run("unenroll")
    assert not agent.status()["enrolled"]
    agent.enroll(simulator.token())
    assert len(simulator.devices) == 2


def test_a_waiting_device_gets_in_once_it_is_approved(agent, simulator):
    simulator.mischief.approval_needed = True
    text = agent.enroll(simulator.token())
    print_ = fingerprint(simulator.device.spki)
    assert print_ in text.replace(" ", "")
    assert agent.status()["fingerprint"] == print_
    agent.start()
    eventually(lambda: agent.status()["running"])
    simulator.approve()
    eventually(lambda: agent.status().get("connected"))
    assert agent.status()["approval"] == "operator"


def test_one_who_became_an_operator_while_the_device_waited_may_approve_it(agent, simulator):
    simulator.mischief.approval_needed = True
    agent.enroll(simulator.token())
    fleet = simulator.fleet
    anchors = (certs.pem_to_der(simulator.anchor.pem),)
    document = fleet.document("alice", "bob", version=2, tls_anchors=anchors)
    simulator.chain.append(fleet.publish(document, "alice"))
    simulator.approve(by="bob")
    agent.start()
    eventually(lambda: agent.status().get("connected"))
    assert agent.status()["approval"] == "operator"


@pytest.mark.parametrize("approval", [{"fingerprint": "00" * 32}, {"by": "mallory"}])
def test_an_approval_that_operators_did_not_sign_for_this_key_is_refused(
    agent, simulator, approval
):
    simulator.mischief.approval_needed = True
    agent.enroll(simulator.token())
    simulator.approve(**approval)
    agent.start()
    eventually(lambda: "not let in" in agent.log())
    assert not agent.status()["enrolled"]


def test_a_rejected_device_says_so(agent, simulator):
    simulator.mischief.approval_needed = True
    agent.enroll(simulator.token())
    simulator.device.state = "rejected"
    agent.start()
    eventually(lambda: "rejected" in agent.log())
    assert not agent.status()["pending"]


def test_raw_machine_identifiers_are_not_sent(agent, simulator):
    agent.enroll(simulator.token())
    assert all(len(value) == 32 for value in simulator.device.hints.values())


def test_a_server_leaf_out_of_its_dates_is_refused(agent, simulator):
    simulator.stop()
    simulator.server_pair = simulator.anchor.server_pair(
        start=timedelta(days=-30), end=timedelta(days=-1)
    )
    simulator.start()
    agent.enroll(simulator.token(), code=5)
    assert simulator.secrets_seen == []
