from __future__ import annotations

import asyncio
import re
import socket
import ssl
import threading
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from penguind import metrics_endpoint
from penguind.config import load_settings
from penguind.config_metrics import MetricsSettings
from penguind.metrics import LABELLED, SINGLE, Look, Metrics
from penguind.metrics_endpoint import MetricsEndpoint
from penguindome.errors import InvalidInput, PreconditionFailed
from penguindome.v1 import issue_pb2
from penguindome.v1.issue_pb2_grpc import IssueServiceStub
from tests.harness.ports import free_port
from tests.harness.serving import running
from tests.harness.site_certificate import SiteCertificate

DOCUMENT = Path(__file__).parents[2] / "docs/metrics.md"
ACCEPT = {"Accept": "application/openmetrics-text; version=1.0.0"}


def scrape(url, **options):
    request = urllib.request.Request(url, headers=ACCEPT)  # noqa: S310 -- ours
    with urllib.request.urlopen(request, **options) as answer:  # noqa: S310 -- ours
        assert answer.headers["Content-Type"].startswith("application/openmetrics-text")
        text = answer.read().decode()
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def story(uri):
    port = free_port()
    async with running(uri, f"\n[metrics]\nport = {port}\n") as server:
        alice, (device, _) = await server.operator(), await server.enroll()
        issues = IssueServiceStub(server.channel(alice))
        for name in ("lost-badge", "firewall-disabled"):
            await issues.OpenIssue(
                issue_pb2.OpenIssueRequest(device_id=device.name, name=name, severity="low")
            )
        await server.application.workers["metrics"].__self__.refresh()
        return await asyncio.to_thread(scrape, f"http://127.0.0.1:{port}/metrics")


def test_what_happened_is_told_over_http(mongo_uri):
    found = asyncio.run(story(mongo_uri))
    assert found["penguind_database_up",] == 1
    assert found["penguind_devices", ("state", "active")] == 1
    assert found["penguind_open_issues", ("severity", "low")] == 2
    assert found["penguind_open_issues_by_check", ("check", "firewall-disabled")] == 1
    assert found["penguind_open_issues_by_check", ("check", "other")] == 1
    assert found["penguind_ledger_rows",] > 2
    calls = {key: n for key, n in found.items() if key[0] == "penguind_rpcs_total"}
    named = [n for key, n in calls.items() if ("code", "OK") in key and "OpenIssue" in str(key)]
    assert named == [2]
    assert found["penguind_certificate_expiry_time_seconds", ("listener", "main")] > 1.7e9


async def nothing():
    return Look()


def test_metrics_are_served_over_tls(tmp_path):
    site = SiteCertificate(tmp_path)
    settings = MetricsSettings("127.0.0.1", free_port(), site.certificate, site.key)
    endpoint = MetricsEndpoint(settings, Metrics(nothing))
    context = ssl.create_default_context(cadata=site.root_pem.decode())
    url = f"https://127.0.0.1:{settings.port}/metrics"
    try:
        assert scrape(url, context=context) == {}
    finally:
        endpoint.close()
    with pytest.raises(OSError, match="refused"):
        scrape(url, context=context)


def test_callers_that_say_nothing_hold_up_neither_scrapes_nor_the_end(tmp_path):
    site = SiteCertificate(tmp_path)
    settings = MetricsSettings("127.0.0.1", free_port(), site.certificate, site.key)
    endpoint = MetricsEndpoint(settings, Metrics(nothing))
    context = ssl.create_default_context(cadata=site.root_pem.decode())
    with socket.create_connection(("127.0.0.1", settings.port)):
        try:
            url = f"https://127.0.0.1:{settings.port}/metrics"
            assert scrape(url, context=context, timeout=5) == {}
        finally:
            ending = threading.Thread(target=endpoint.close, daemon=True)
            ending.start()
            ending.join(5)
        assert not ending.is_alive()


def test_a_caller_that_says_nothing_is_hung_up_on(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics_endpoint, "_PATIENCE_SECONDS", 0.2)
    site = SiteCertificate(tmp_path)
    settings = MetricsSettings("127.0.0.1", free_port(), site.certificate, site.key)
    endpoint = MetricsEndpoint(settings, Metrics(nothing))
    try:
        with socket.create_connection(("127.0.0.1", settings.port), timeout=5) as caller:
            assert caller.recv(1) == b""
    finally:
        endpoint.close()


def test_a_taken_port_is_a_clear_error():
    settings = MetricsSettings("127.0.0.1", free_port(), None, None)
    endpoint = MetricsEndpoint(settings, Metrics(nothing))
    try:
        with pytest.raises(PreconditionFailed, match=f"port {settings.port}.*in use"):
            MetricsEndpoint(settings, Metrics(nothing))
    finally:
        endpoint.close()


def test_a_certificate_without_its_key_is_refused(tmp_path):
    path = tmp_path / "penguind.toml"
    path.write_text('[metrics]\ncertificate = "/x.pem"\n')
    with pytest.raises(InvalidInput, match=r"metrics\.certificate goes together with key"):
        load_settings(path)


def test_every_metric_is_documented():
    told = {f"penguind_{name}" for name in (*SINGLE, *LABELLED)}
    told |= {"penguind_rpcs_total", "penguind_rpc_seconds"}
    assert set(re.findall(r"^\| `(penguind_\w+)`", DOCUMENT.read_text(), re.MULTILINE)) == told
