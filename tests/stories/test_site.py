"""A server in a site's own surroundings: its MongoDB, its certificate, its IPv6."""

from __future__ import annotations

import dataclasses
import shutil
import socket
import ssl
import threading
import time
from pathlib import Path
from tempfile import mkdtemp

import pytest

from penguindome import certs
from penguindome.tokens import decode_token, encode_token
from tests.harness.fleet import Fleet
from tests.harness.process import wait_until
from tests.harness.site_certificate import SiteCertificate
from tests.harness.site_mongod import PASSWORD, SET, SiteMongod

pytestmark = pytest.mark.timeout(240)

OFF = '#!/bin/sh\necho \'{"status": "off"}\'\n'


@pytest.fixture(scope="module")
def folder():
    made = Path(mkdtemp(prefix="pd", dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def site(folder):
    return SiteCertificate(folder)


@pytest.fixture(scope="module")
def fleet(folder, site):
    (folder / "password").write_text(PASSWORD + "\r\nmore\n")
    with SiteMongod(secure=True) as mongod:
        options = ["--database-uri", mongod.uri, "--database-replica-set", SET]
        options += ["--database-tls-ca-file", mongod.folder / "ca.pem"]
        options += ["--database-username", "penguind"]
        options += ["--database-password-file", folder / "password"]
        options += ["--certificate", site.certificate, "--key", site.key]
        with Fleet(options=options) as running:
            yield running


def issues(fleet, agent):
    found = fleet.alice.json("issue", "list", agent.device_id())["issues"]
    return {issue["name"] for issue in found}


def joins_and_is_judged(fleet, token):
    agent = fleet.device(plugins=fleet.plugins(firewall=OFF), token=token)
    fleet.wait_for_report(agent)
    wait_until(lambda: "firewall-disabled" in issues(fleet, agent), 30, "no issue opens")
    return agent


def served_serial(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    raw = socket.create_connection(("127.0.0.1", port), timeout=10)
    with context.wrap_socket(raw) as connection:
        der = connection.getpeercert(binary_form=True)
    return certs.parse_certificate(der).serial


def problems(fleet):
    return fleet.alice.json("server", "status")["problems"]


def test_a_device_joins_and_is_judged(fleet, site):
    token = fleet.alice.token()
    assert decode_token(token).anchor == certs.pem_to_der(site.root_pem)
    joins_and_is_judged(fleet, token)
    assert fleet.alice.json("server", "status")["database"].startswith("external MongoDB 6")
    assert "all is well" in fleet.server.run("check-config")


class Load:
    """Calls of an operator's from a thread, one after the other, each on a new connection."""

    def __init__(self, fleet):
        self._fleet = fleet
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.done = 0
        self.failures = []

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _run(self):
        while not self._stop.is_set():
            done = self._fleet.alice.try_run("device", "list", "-o", "json")
            self.done += 1
            if done.returncode:
                self.failures.append(done.stderr)


def test_its_certificate_is_replaced_under_load(fleet, site):
    agent = joins_and_is_judged(fleet, fleet.alice.token())
    port = fleet.server.bootstrap_port
    with Load(fleet) as load:
        for _ in range(3):
            new = site.replace()
            # Both listeners, and each connection anew.
            assert served_serial(port) == new
            assert served_serial(fleet.server.main_port) == new
            before = load.done
            wait_until(lambda before=before: load.done > before + 1, 30, "no calls")
    assert load.failures == []
    assert fleet.shown(agent)["device"]["connected"]
    assert problems(fleet) == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("garbage", "cannot be read"),
        ("mismatched", "does not belong"),
        ("expired", "ended on"),
        ("leaf alone", "would not accept"),
        ("other host", "would not accept"),
        ("other root", "would not accept"),
    ],
)
def test_a_bad_one_is_not_taken(fleet, site, tmp_path, fault, said):
    good = site.replace()
    port = fleet.server.bootstrap_port
    assert served_serial(port) == good
    if fault == "garbage":
        site.replace(chain=b"garbage\n")
    elif fault == "mismatched":
        site.replace(key=certs.generate_key())
    elif fault == "expired":
        site.replace(days=-1)
    else:
        host = "192.0.2.1" if fault == "other host" else "127.0.0.1"
        maker = SiteCertificate(tmp_path) if fault == "other root" else site
        leaf, key = maker.leaf(host=host)
        rest = site.certificate.read_bytes().partition(b"-----END CERTIFICATE-----\n")[2]
        site.replace(chain=leaf if fault == "leaf alone" else leaf + rest, key=key)
    assert served_serial(port) == good
    (problem,) = problems(fleet)
    assert "not used" in problem
    assert said in problem
    done = fleet.server.try_run("check-config")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert said in done.stderr
    new = site.replace()
    assert served_serial(port) == new
    assert problems(fleet) == []


def test_a_fleet_on_ipv6(folder):
    options = ["--address", "::", "--advertised-host", "::1", "--server-name", "127.0.0.1"]
    with Fleet(options=options) as fleet:
        token = fleet.alice.token("--cidr", "::1/128", "--uses", "9")
        assert decode_token(token).host == "::1"
        agent = joins_and_is_judged(fleet, token)
        assert fleet.shown(agent)["device"]["peer_address"].startswith("::1")
        fleet.device(plugins=fleet.plugins()).enroll(
            fleet.alice.token("--cidr", "2001:db8::/32"), ok=False
        )
        # An IPv4 peer of an IPv6 socket is an IPv4 peer, however the network was written.
        for network in ("127.0.0.0/8", "::ffff:127.0.0.0/104"):
            token = decode_token(fleet.alice.token("--cidr", network))
            by_ipv4 = encode_token(replace_host(token, "127.0.0.1"))
            fleet.device(plugins=fleet.plugins()).enroll(by_ipv4)
        began = time.monotonic()
        fleet.server.stop()
        fleet.server.start()
        wait_until(lambda: fleet.shown(agent)["device"]["connected"], 40, "it stays away")
        assert time.monotonic() - began < 60


def replace_host(token, host):
    return dataclasses.replace(token, host=host)
