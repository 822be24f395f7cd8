"""Three years of a fleet: every authority changes twice, and nobody mends anything by hand.

Server, operator and devices are real programs and live under libfaketime, so that each handshake
of TLS judges every date; only mongod and gpg stay in the present.
"""

import pathlib
import shutil
import tempfile
from datetime import timedelta

import pytest

from penguindome import certs
from penguindome.times import utc_now
from tests.harness.process import wait_until
from tests.harness.server import Server
from tests.harness.time_travel import FutureOperator, Laptops, Time, forget_dead_programs

pytestmark = pytest.mark.timeout(240)

# Less than the time before its end in which the server renews its certificate.
STEP = 30
DEVICES = [f"d{number:02}" for number in range(12)]
# From which day until which a device sleeps: up to 180 days, one across all changes of the first
# year, some across one of them, one across the end of the server's certificate.
SLEEPS = {
    "d03": [(85, 265)],
    "d04": [(95, 160), (240, 420)],
    "d05": [(140, 210), (500, 680)],
    "d06": [(340, 430), (840, 1000)],
    "d07": [(10, 190), (255, 435), (540, 720), (860, 1040)],
    "d08": [(560, 740)],
    "d09": [(650, 830), (850, 1030)],
}


class Years:
    """The fleet, and what happens on which day."""

    def __init__(self, folder):
        self.folder = folder
        self.time = Time(folder)
        self.server = Server(folder / "s")
        self.server.environment_more = self.time.environment()
        self.server.setup()
        self.server.start()
        self.alice = FutureOperator(folder / "o", self.time)
        self.alice.init(self.server.invitation)
        self.laptops = Laptops(folder, self.time)
        self.trust_version = 1
        self.connections = self.renewals = 0

    def close(self):
        self.laptops.close()
        self.alice.close()
        self.server.stop()

    def authorities(self, kind):
        """Return fingerprints, the newest first."""
        rows = [line.split() for line in self.server.run("ca", "show").splitlines()[::2]]
        return [row[-1] for row in rows if row[0] == kind]

    def rotate_issuers(self):
        for kind in ("device", "operator"):
            self.server.run("ca", "rotate", kind)

    def change_anchor(self):
        self.server.run("ca", "rotate", "anchor")

    def sign_anchor(self):
        new = self.authorities("anchor")[0]
        words = ("trust", "anchors", "--add-from-server", "--yes", "--fingerprint", new)
        self.trust_version = self.alice.json(*words)["version"]

    def rotate_anchor(self):
        self.change_anchor()
        self.sign_anchor()

    def retire_anchor(self):
        old = self.authorities("anchor")[-1]
        removed = self.alice.json("trust", "anchors", "--remove", old, "--yes")
        self.trust_version = removed["version"]
        self.server.run("ca", "retire", "anchor", old)

    def renew_trust(self):
        self.trust_version = self.alice.json("trust", "renew")["version"]

    def look(self):
        assert self.alice.json("server", "status")["self"]["name"] == "alice"

    def server_certificate_lasts(self):
        """The server renews it by itself, within seconds of its clock coming so far."""
        path = self.server.folder / "state/tls/server.pem"
        today = utc_now() + timedelta(days=self.time.day)

        def lasting():
            end = certs.parse_certificate(path.read_bytes()).not_after
            return end - today > timedelta(days=29)

        wait_until(lasting, 10, "the server's certificate is not renewed")

    def wake(self):
        """Have every device that is not asleep connect; all must succeed."""
        awake = [name for name in DEVICES if not asleep(name, self.time.day)]
        told = self.laptops.ask("wake", dict.fromkeys(awake, ""))
        lost = {name: one for name, one in told.items() if not one["connected"]}
        assert not lost, f"on day {self.time.day}: {lost}\n{self.server.log()[-3000:]}"
        behind = {name for name, one in told.items() if one["trust"] != self.trust_version}
        assert not behind, f"on day {self.time.day} these know no new trust document: {behind}"
        self.connections += len(told)
        self.renewals += sum(one["renewals"] for one in told.values())


def asleep(name, day):
    return any(start <= day < end for start, end in SLEEPS.get(name, ()))


EVENTS = {
    60: Years.look,
    90: Years.rotate_issuers,
    100: Years.look,
    # The anchor changes while she is away for 50 days: her certificate has ended when she is back.
    120: Years.change_anchor,
    150: Years.sign_anchor,
    180: Years.rotate_issuers,
    210: Years.look,
    240: Years.rotate_anchor,
    300: Years.look,
    360: Years.look,
    420: Years.renew_trust,
    480: Years.look,
    540: Years.look,
    570: Years.retire_anchor,
    630: Years.look,
    660: Years.retire_anchor,
    720: Years.look,
    780: Years.look,
    840: Years.renew_trust,
    900: Years.look,
    960: Years.look,
    1020: Years.look,
    1080: Years.look,
}


@pytest.fixture
def years():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pd", dir="/tmp"))
    folder.chmod(0o711)
    made = Years(folder)
    yield made
    made.close()
    shutil.rmtree(folder)
    forget_dead_programs()


def test_three_years_without_a_hand_on_any_device(years):
    token = years.alice.token("--uses", str(len(DEVICES)))
    enrolled = years.laptops.ask("enroll", dict.fromkeys(DEVICES, token))
    ids = {name: one["device_id"] for name, one in enrolled.items()}
    for day in sorted({*range(STEP, 3 * 365 + 1, STEP), *EVENTS}):
        years.time.go(day)
        years.server_certificate_lasts()
        if day in EVENTS:
            EVENTS[day](years)
        years.wake()
    listed = years.alice.json("device", "list")["devices"]
    assert {one["device_id"] for one in listed} == set(ids.values())
    assert {one["state"] for one in listed} == {"active"}
    assert len(years.authorities("anchor")) == 1
    # Both were replaced a third time, by the server itself.
    rows = years.alice.json("ledger", "list", "--limit", "5000")["rows"]
    by_itself = [one for one in rows if one["actor"] == "server"]
    assert {"authority.rotate", "server-certificate.renew"} <= {one["action"] for one in by_itself}
    assert years.connections > 300
    assert years.renewals > 300
