from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta

import pytest

from penguind.tls import CertificateSource, check_dates, checked
from penguindome import certs
from penguindome.errors import PreconditionFailed
from tests.harness.serving import running

NOW = datetime(2026, 11, 25, tzinfo=UTC)


class Files:
    """A certificate and its key in a folder, as an administrator replaces them."""

    def __init__(self, folder):
        self.certificate, self.key = folder / "c.pem", folder / "k.pem"
        self.authority_key = certs.generate_key()
        self.authority = certs.make_authority(
            "anchor",
            key_pem=self.authority_key,
            now=NOW - timedelta(days=400),
            lifetime=timedelta(days=4000),
            path_length=None,
            client_auth_only=False,
        )
        self.replace()

    def pair(self, *, days=90):
        key = certs.generate_key()
        pem = certs.issue(
            authority_pem=self.authority,
            authority_key_pem=self.authority_key,
            spki=certs.key_spki(key),
            dns_names=["x"],
            client=False,
            not_before=NOW - timedelta(days=300),
            not_after=NOW + timedelta(days=days),
        )
        return pem, key

    def replace(self, certificate=None, key=None, **facts):
        pem, made = self.pair(**facts)
        for path, data in ((self.key, key or made), (self.certificate, certificate or pem)):
            new = path.with_suffix(".new")
            new.write_bytes(data)
            new.replace(path)

    def source(self):
        return CertificateSource(self.certificate, self.key, lambda: NOW)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def test_a_good_replacement_is_used(files):
    source = files.source()
    first = source.current()
    assert source.current() is first
    files.replace()
    assert source.current().chain == files.certificate.read_bytes() != first.chain
    assert source.problems() == []


@pytest.mark.parametrize("fault", ["garbage", "mismatched", "expired", "missing"])
def test_a_bad_replacement_keeps_the_old_pair_and_is_a_problem(files, fault):
    source = files.source()
    first = source.current()
    if fault == "garbage":
        files.replace(certificate=b"-----BEGIN CERTIFICATE-----\nx\n")
    elif fault == "mismatched":
        files.replace(key=certs.generate_key())
    elif fault == "expired":
        files.replace(days=-1)
    else:
        files.key.unlink()
    assert source.current() is first
    assert "not used" in source.problems()[0]
    files.replace()
    assert source.problems() == []
    assert source.current() is not first


def test_an_end_that_is_near_is_a_problem(files):
    files.replace(days=20)
    assert "ends on" in files.source().problems()[0]


def test_a_clock_before_the_certificate_says_so(files):
    pair = checked(*files.pair(), subject="c.pem")
    with pytest.raises(PreconditionFailed, match="clock") as caught:
        check_dates(pair, NOW - timedelta(days=1000), subject="c.pem")
    assert "timedatectl" in caught.value.remedy


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_a_missing_file_at_the_start_is_named(files, missing):
    getattr(files, missing).unlink()
    with pytest.raises(PreconditionFailed) as caught:
        files.source()
    assert str(getattr(files, missing)) in caught.value.text()


async def served_serial(server):
    """Return the serial that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=server.anchor.decode())
    context.set_alpn_protocols(["h2"])
    _, writer = await asyncio.open_connection(
        "127.0.0.1", server.settings.listen.bootstrap_port, ssl=context
    )
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return certs.parse_certificate(der).serial


def test_new_connections_see_a_new_certificate_and_open_ones_go_on(mongo_uri):
    async def story():
        async with asyncio.timeout(60), running(mongo_uri) as server:
            await server.operator()
            before = await served_serial(server)
            folder = server.settings.server.state_dir
            key = certs.generate_key()
            pem = certs.issue(
                authority_pem=server.anchor,
                authority_key_pem=(folder / "authority/anchor-key.pem").read_bytes(),
                spki=certs.key_spki(key),
                ip_addresses=["127.0.0.1"],
                client=False,
                not_before=server.clock() - timedelta(minutes=5),
                not_after=server.clock() + timedelta(days=90),
            )
            (folder / "tls/server-key.pem").write_bytes(key)
            assert await served_serial(server) == before
            (folder / "tls/server.pem").write_bytes(pem)
            assert await served_serial(server) == certs.parse_certificate(pem).serial
            await server.token()
            await server.enroll()

    asyncio.run(story())


def test_silent_connections_are_cut_and_do_not_hold_up_others(mongo_uri):
    async def story():
        async with asyncio.timeout(60), running(mongo_uri) as server:
            port = server.settings.listen.main_port
            silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(100)]
            await server.enroll()
            readers = asyncio.gather(*(reader.read() for reader, _ in silent))
            async with asyncio.timeout(9):
                await readers
            for _, writer in silent:
                writer.close()

    asyncio.run(story())
