"""penguinctl renews the operator certificate by itself."""

import subprocess
from datetime import UTC, datetime, timedelta

import pytest

from penguindome import certs, keys
from penguindome.csr import make_csr
from penguindome.errors import Forbidden
from tests.penguinctl.conftest import ENTRY


@pytest.fixture
def init(fresh, ctl):
    """Become an operator whose certificate, made a day ago, ends in so many days."""

    def run(days):
        fresh.certificate_days = days
        ctl("init", stdin=fresh.invitation(roles=("viewer",)))
        fresh.certificate_days = 10
        fresh.calls.clear()

    return run


def days_left(ctl):
    facts = certs.parse_certificate((ctl.profile / "certificate.pem").read_bytes())
    return (facts.not_after - datetime.now(UTC)) / timedelta(days=1)


def test_more_than_a_third_left_is_left_alone(fresh, ctl, init):
    init(0.6)
    assert ctl("device", "list").code == 0
    assert fresh.requests("RenewOperator") == []


@pytest.mark.parametrize("days", [0.4, -0.5])
def test_a_certificate_that_ends_or_ended_is_renewed_in_passing(fresh, ctl, init, days):
    fresh.failures = {"RenewOperator": Forbidden("not now")}
    init(days)
    fresh.failures = {}
    result = ctl("device", "list")
    assert (result.code, result.err) == (0, "")
    assert days_left(ctl) > 9
    assert ctl("device", "list").code == 0
    assert len(fresh.requests("RenewOperator")) == 1


def test_not_renewed_but_still_valid_it_is_used_and_that_is_said(fresh, ctl, init):
    fresh.failures = {"RenewOperator": Forbidden("not now")}
    init(0.4)
    result = ctl("device", "list")
    assert result.code == 0
    assert "certificate ends in 9 h and was not renewed: not now" in result.err


def test_ended_and_refused_a_new_invitation_is_needed(fresh, ctl, init):
    fresh.failures = {"RenewOperator": Forbidden("away for too long")}
    init(-0.5)
    result = ctl("device", "list")
    assert result.code == 4
    assert "ended 12 h ago and was not renewed: away for too long" in result.err
    assert "operator invite" in result.err
    assert fresh.requests("ListDevices") == []


def test_ended_and_unreachable_is_5(fresh, ctl, init):
    fresh.failures = {"RenewOperator": Forbidden("not now")}
    init(-0.5)
    fresh.stop()
    assert ctl("device", "list").code == 5


def test_a_certificate_for_another_key_is_not_stored(fresh, ctl, init):
    fresh.failures = {"RenewOperator": Forbidden("not now")}
    init(-0.5)
    fresh.failures = {}
    before = (ctl.profile / "certificate.pem").read_bytes()
    other = make_csr(keys.generate_key())
    fresh.renewed_certificate = lambda name: fresh.operators.issue(
        certs.csr_spki(other), client=True
    )
    assert ctl("device", "list").code == 7
    assert (ctl.profile / "certificate.pem").read_bytes() == before


def test_many_runs_at_once_renew_once(fresh, ctl, init):
    fresh.failures = {"RenewOperator": Forbidden("not now")}
    init(0.4)
    fresh.failures = {}
    fresh.calls.clear()
    runs = [
        subprocess.Popen(
            [ENTRY, "device", "list"], env=ctl.environment(), stdout=subprocess.DEVNULL
        )
        for _ in range(4)
    ]
    assert [run.wait(60) for run in runs] == [0, 0, 0, 0]
    assert len(fresh.requests("RenewOperator")) == 1
