"""A device that slept for longer than anybody remembers waits for an operator, and stays itself."""

import os
import signal
from datetime import UTC, datetime, timedelta

import pytest

from penguindome import certs
from tests.attacks.kit.keys import Identity
from tests.attacks.test_host_crashes import old
from tests.harness.process import wait_until

pytestmark = pytest.mark.timeout(120)
PLUGIN = "#!/bin/sh\necho '{\"value\": 1}'\n"
LONG_AGO = datetime.now(UTC) - timedelta(days=401)


def test_who_slept_too_long_waits_and_comes_back_with_the_same_id(fleet, keys, database):
    laptop = fleet.device(plugins=fleet.plugins(example=PLUGIN))
    laptop.enroll(fleet.alice.token())
    device_id = laptop.device_id()
    folder = laptop.folder / "state/identity"
    who = Identity((folder / "key.pem").read_bytes(), (folder / "certificate.pem").read_bytes())
    aged = old(keys, who)
    database.know(device_id, aged)
    (folder / "certificate.pem").write_bytes(aged)
    slept = {"last_seen_time": LONG_AGO, "enrolled_time": LONG_AGO}
    database.records["devices"].update_one({"_id": device_id}, {"$set": slept})
    laptop.start()

    def state():
        return fleet.shown(laptop)["device"]["state"]

    wait_until(lambda: state() == "pending", 30, "it is let in after 401 days")
    wait_until(lambda: "approve" in str(laptop.status().get("trouble")), 30, "it is not told")
    fleet.alice.run("device", "approve", device_id, "--yes")

    def back():
        os.kill(laptop.process.pid, signal.SIGHUP)
        return fleet.shown(laptop)["device"]["connected"]

    wait_until(back, 40, "it does not come back")
    assert (state(), laptop.device_id()) == ("active", device_id)
    certificate = (folder / "certificate.pem").read_bytes()
    assert certs.parse_certificate(certificate).not_after > datetime.now(UTC)
    laptop.stop()
