"""Text that forges log lines or breaks their formatting, in every string that a device can send."""

import re

import pytest

from penguindome.errors import InvalidInput, PenguinDomeError
from penguindome.v1 import agent_pb2 as pb
from tests.attacks.kit.evil_agent import EvilAgent
from tests.attacks.kit.evil_reports import EvilReports
from tests.attacks.kit.wire import SECONDS, refusal
from tests.harness.process import wait_until
from tests.harness.reporter import output

pytestmark = pytest.mark.timeout(120)

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ (DEBUG|INFO|NOTICE|WARNING|ERROR) [\w.]+: .*")
FORGED = "2026-01-01T00:00:00Z INFO penguind.gate: alice did device.delete"
EVIL = f"\r\n{FORGED}\n\x1b[2J\x1b]0;t\x07\x85\u2028{{}} {{0.__class__}} {{x}} {{{{ %s %(a)s {{9}}"
STRINGS = ["report_id", "boot_id", "request_id"]


@pytest.fixture
def lines(fleet):
    """Return a function that returns the lines logged since the test began."""
    start = len(fleet.server.log())

    def logged():
        # Only newlines end lines here, whatever else Python would take for an end.
        return fleet.server.log()[start:].split("\n")[:-1]

    return logged


def assert_honest(lines):
    """Check that each line is one record of ours, and printable."""
    for line in lines:
        assert LINE.fullmatch(line), line
        assert line.isprintable(), ascii(line)
    assert not [line for line in lines if line.startswith(FORGED)]
    assert not [line for line in lines if "unformattable" in line or "Traceback" in line]


def refusals(lines):
    return [line for line in lines if "SubmitReport from" in line and "refused" in line]


def test_every_refusal_is_one_line(lines, device):
    reports = EvilReports(device)
    number = 0
    for field in STRINGS:
        assert isinstance(refusal(reports.hands_in, **{field: EVIL + "x" * 5000}), InvalidInput)
        number += 1
    hostile = [
        lambda: reports.hands_in(output(EVIL, 1)),
        lambda: reports.hands_in(removed=(EVIL,)),
        lambda: reports.hands_in(following=(EVIL,)),
        lambda: reports.prints(EVIL),
        lambda: reports.prints(f'{{"{EVIL}"'),
        lambda: reports.prints('{"a{}\\n{0.__class__}": 1, "a{}\\n{0.__class__}": 2}'),
    ]
    for attempt in hostile:
        assert isinstance(refusal(attempt), InvalidInput)
        number += 1
    wait_until(lambda: len(refusals(lines())) >= number, 10, "records are lost")
    assert len(refusals(lines())) == number
    assert_honest(lines())


def test_names_that_are_logged_later_are_one_line(fleet, lines, wire, token):
    agent = EvilAgent(wire)
    agent.enroll(token, hostname=EVIL)
    reports = EvilReports(agent)
    reports.check_in(
        hostname=EVIL, agent_version=EVIL, boot_id=EVIL, capabilities=[EVIL, "{}"], ratchet=b"{}\n"
    )
    reports.says(firewall={"status": "off"}, os_info={EVIL: EVIL})
    fleet.alice.run("issue", "audit", agent.device_id)
    wait_until(
        lambda: any("firewall-disabled opened" in line for line in lines()), 10, "nothing is logged"
    )
    (opened,) = [line for line in lines() if "firewall-disabled opened" in line]
    # The hostile name did come through the log, on the record's own line.
    assert "alice did device.delete" in opened
    assert "{0.__class__}" in opened
    assert agent.device_id in opened
    assert_honest(lines())


def test_reasons_and_values_of_outputs_are_one_line(fleet, lines, device):
    reports = EvilReports(device)
    reports.prints(b"", reason="bad {} {0.__class__}")
    error = refusal(reports.prints, b"", reason=EVIL)
    assert isinstance(error, PenguinDomeError)
    reports.says(evil={EVIL.replace("\x00", ""): EVIL})
    fleet.alice.run("issue", "audit", device.device_id)
    assert_honest(lines())


def test_strangers_strings_are_one_line(lines, wire, token):
    agent = EvilAgent(wire)
    request = agent.application(token, hostname=EVIL, hints={EVIL: b"\n{}", "{}": EVIL.encode()})
    for field in ("agent_version", "os_name"):
        setattr(request, field, EVIL)
    request.token_id = b"{}\n12345"
    refusal(agent.bootstrap.Enroll, request, timeout=SECONDS)
    refusal(agent.bootstrap.RenewDevice, agent.renewal(device_id=EVIL), timeout=SECONDS)
    found = lambda: [line for line in lines() if "BootstrapService" in line]  # noqa: E731
    wait_until(lambda: len(found()) >= 2, 10, "records are lost")
    assert_honest(lines())


def test_metadata_and_methods_are_one_line(lines, device, wire):
    channel = wire.main(device.identity)
    for method in ("/penguindome.v1.AgentService/{0.__class__}", "/{}/x", f"/a/{'{}' * 20}"):
        refusal(channel.unary_unary(method), b"", timeout=SECONDS)
    metadata = [("user-agent", "{} {0.__class__}"), ("x-{}".lower().strip("{}") + "x", "{}")]
    device.stub().ListVerdicts(pb.ListVerdictsRequest(), timeout=SECONDS, metadata=metadata)
    assert_honest(lines())
