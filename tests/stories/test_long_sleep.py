"""A laptop that was off for a year comes back by itself."""

from datetime import timedelta

import pytest

from penguindome import certs
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(180)
PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"


def year_old(certificate, state_dir):
    """Return the certificate as it would have been issued a year ago."""
    facts = certs.parse_certificate(certificate)
    year = timedelta(days=365)
    folder = state_dir / "authority"
    return certs.issue(
        authority_pem=(folder / "device-ca.pem").read_bytes(),
        authority_key_pem=(folder / "device-ca-key.pem").read_bytes(),
        spki=facts.spki,
        uri=facts.uris[0],
        client=True,
        not_before=facts.not_before - year,
        not_after=facts.not_after - year,
    )


def test_device_with_a_certificate_that_ended_a_year_ago_renews_it(fleet, alice):
    agent = fleet.device(plugins=fleet.plugins(example=PLUGIN))
    agent.enroll(alice.token())
    path = agent.folder / "state/identity/certificate.pem"
    old = year_old(path.read_bytes(), fleet.server.folder / "state")
    path.write_bytes(old)
    agent.start()
    fleet.wait_for_report(agent)
    wait_until(lambda: path.read_bytes() != old, 10, "the new certificate is not kept")
    assert fleet.shown(agent)["device"]["state"] == "active"
