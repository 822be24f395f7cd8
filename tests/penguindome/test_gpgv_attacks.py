"""Signatures made to deceive, to keep gpgv busy, or to leave something behind; the real gpgv."""

from __future__ import annotations

import bz2
import os
import time
import zlib
from typing import TYPE_CHECKING

import psutil
import pytest

from penguindome.envelope import LIMITS, Envelope, open_envelope, signed_bytes, signers
from penguindome.errors import Forbidden, NotSupported
from penguindome.gpgv import TIMEOUT_SECONDS, verify_detached
from penguindome.ids import new_device_id
from tests.penguindome.signing import gpg_home

if TYPE_CHECKING:
    from pathlib import Path

    from tests.penguindome.signing import Fleet

DATA = b"data\n"
DEVICE = new_device_id()
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def signed():
    """Yield a home, its key's fingerprint and public part, and a good signature on DATA."""
    with gpg_home() as home:
        key = home.make("alice")
        yield home, key, home.export(key), home.sign(key, DATA)


def refuse(data: bytes, signature: bytes, ring: bytes) -> None:
    with pytest.raises(Forbidden):
        verify_detached(data, signature, [ring])


def packet(tag: int, body: bytes) -> bytes:
    """Return an OpenPGP packet with a new-format header; RFC 4880 §4.2.2."""
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def test_the_armour_of_a_good_signature_is_accepted_and_of_another_is_not(signed):
    home, key, ring, _ = signed
    armoured = home.sign(key, DATA, "--armor")
    assert armoured.startswith(b"-----BEGIN PGP SIGNATURE-----")
    assert verify_detached(DATA, armoured, [ring]) == key
    assert verify_detached(DATA, armoured.replace(b"\n", b"\r\n"), [ring]) == key
    # The words around it mean nothing; the bytes within are what counts.
    assert verify_detached(DATA, armoured.replace(b"SIGNATURE", b"MESSAGE"), [ring]) == key
    refuse(DATA + b" ", armoured, ring)
    refuse(DATA.replace(b"\n", b"\r\n"), armoured, ring)
    for spoiled in (
        armoured + armoured,
        armoured[: len(armoured) // 2],
        b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\ndata\n" + armoured,
    ):
        refuse(DATA, spoiled, ring)


@pytest.mark.parametrize(
    "options",
    [
        ["--sign"],
        ["--sign", "--armor"],
        ["--clear-sign"],
        ["--textmode"],
        ["--textmode", "--armor"],
        ["--digest-algo", "SHA1", "--allow-weak-digest-algos"],
        ["--digest-algo", "SHA224"],
        ["--digest-algo", "RIPEMD160", "--allow-weak-digest-algos"],
    ],
)
def test_other_forms_by_the_right_key_are_refused(signed, options):
    home, key, ring, _ = signed
    refuse(DATA, home.sign(key, DATA, *options), ring)


def test_several_signatures_in_one_are_refused(signed):
    home, _, ring, good = signed
    other = home.make("bob")
    by_other = home.sign(other, DATA)
    for glued in (good + good, good + by_other, by_other + good, good + b"\0", b"\0" + good):
        refuse(DATA, glued, ring + home.export(other))
    assert verify_detached(DATA, by_other, [ring + home.export(other)]) == other
    refuse(DATA, by_other, ring)


def test_a_signature_that_brings_its_own_data_vouches_for_nothing_else(signed):
    """gpgv must look at the order's bytes, whatever message is around the signature."""
    home, key, ring, good = signed
    literal = packet(11, b"b\0\0\0\0\0" + DATA)
    inline = home.sign(key, DATA, "--sign", "--compress-algo", "none")
    one_pass = inline[: 2 + inline[1]]
    assert one_pass[0] >> 2 & 0xF == 4
    for body in (
        good,
        good + literal,
        literal + good,
        one_pass + literal + good,
        one_pass + good,
        inline,
        home.sign(key, DATA, "--sign"),
    ):
        squeezed = packet(8, b"\1" + zlib.compress(body, wbits=-15))
        for whole in (body, squeezed, body + squeezed, packet(8, b"\1" + squeezed)):
            for data in (b"other", b"", DATA + b"x", whole):
                refuse(data, whole, ring)


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff" * 4096, os.urandom(4096), b"-" * 4096])
def test_no_signature_at_all_is_refused(signed, data):
    refuse(DATA, data, signed[2])


@pytest.mark.parametrize("size", [LIMITS.signature_bytes + 1, 100 * MIB])
def test_a_large_signature_never_reaches_gpgv(monkeypatch, signed, size):
    monkeypatch.setattr("penguindome.gpgv._PLACES", ("/nonexistent/gpgv",))
    started = time.monotonic()
    refuse(DATA, bytes(size), signed[2])
    assert time.monotonic() - started < 1
    with pytest.raises(NotSupported):
        verify_detached(DATA, bytes(10), [signed[2]])


def test_five_thousand_signatures_are_refused_at_once(fleet: Fleet):
    payload = fleet.order(DEVICE)
    good = fleet.sign("command", payload, "alice").signatures[0]
    trust = fleet.document("alice")
    started = time.monotonic()
    for signatures in ((good,) * 5000, (good * 5000,), (bytes(100 * MIB),)):
        with pytest.raises(Forbidden) as caught:
            open_envelope(
                Envelope("command", payload, signatures),
                trust=trust,
                role="command",
                fleet=fleet.id,
                device_id=DEVICE,
                now=fleet.now,
            )
        assert caught.value.code == "bad-envelope"
    assert time.monotonic() - started < 2


@pytest.mark.parametrize("pack", [(1, zlib.compress), (3, bz2.compress)], ids=["zip", "bzip2"])
def test_a_compressed_bomb_costs_little(signed, pack):
    algorithm, compress = pack
    inner = packet(2, bytes(2 * MIB))
    squeezed = compress(inner * 2) if algorithm == 3 else zlib.compress(inner, 9, wbits=-15)
    bomb = packet(8, bytes([algorithm]) + squeezed)
    assert len(bomb) <= LIMITS.signature_bytes
    started = time.monotonic()
    refuse(DATA, bomb, signed[2])
    assert time.monotonic() - started < TIMEOUT_SECONDS


def stand_in(folder: Path, script: str) -> str:
    path = folder / "gpgv"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "script", ["kill -STOP $$\n", "exec sleep 600\n", "trap '' TERM; exec sleep 600\n"]
)
def test_a_gpgv_that_hangs_is_ended(monkeypatch, tmp_path, signed, script):
    monkeypatch.setattr("penguindome.gpgv._PLACES", (stand_in(tmp_path, "exec 2>&1\n" + script),))
    before = set(psutil.Process().children(recursive=True))
    started = time.monotonic()
    with pytest.raises(Forbidden) as caught:
        verify_detached(DATA, signed[3], [signed[2]], 0.5)
    assert "did not end" in caught.value.reason
    assert time.monotonic() - started < 5
    left = set(psutil.Process().children(recursive=True)) - before
    assert not left


def test_sixteen_signatures_that_hang_take_the_time_of_one(monkeypatch, tmp_path, fleet: Fleet):
    payload = fleet.order(DEVICE)
    good = fleet.sign("command", payload, "alice").signatures[0]
    trust = fleet.document("alice")
    monkeypatch.setattr("penguindome.gpgv._PLACES", (stand_in(tmp_path, "kill -STOP $$\n"),))
    monkeypatch.setattr("penguindome.envelope.TIMEOUT_SECONDS", 1)
    started = time.monotonic()
    assert not signers(Envelope("command", payload, (good,) * 16), trust, "command")
    assert time.monotonic() - started < 5


def test_a_thousand_verifications_leave_nothing_behind(signed):
    _, key, ring, good = signed
    me = psutil.Process()
    verify_detached(DATA, good, [ring])
    before, open_before = set(me.children(recursive=True)), me.num_fds()
    agents = {one.pid for one in psutil.process_iter(["name"]) if one.info["name"] == "gpg-agent"}
    for number in range(1000):
        if number % 2:
            assert verify_detached(DATA, good, [ring]) == key
        else:
            refuse(DATA + b"x", good, ring)
    assert set(me.children(recursive=True)) == before
    assert me.num_fds() == open_before
    now = {one.pid for one in psutil.process_iter(["name"]) if one.info["name"] == "gpg-agent"}
    ours = [pid for pid in now - agents if psutil.Process(pid).ppid() == me.pid]
    assert not ours


def test_gpgv_needs_no_home_and_reads_no_settings(monkeypatch, tmp_path, signed):
    _, key, ring, good = signed
    home = tmp_path / ("h" * 120)
    home.mkdir(mode=0o700)
    (home / "gpgv.conf").write_text("no-such-option\n")
    # A lock that another machine's process left, for whoever would write a keyring.
    (home / "pubring.kbx.lock").write_text("      4711\nelsewhere\n")
    monkeypatch.setenv("GNUPGHOME", str(home))
    monkeypatch.setenv("HOME", str(home))
    started = time.monotonic()
    assert verify_detached(DATA, good, [ring]) == key
    assert time.monotonic() - started < 5


def test_the_signed_bytes_end_where_the_payload_does(fleet: Fleet):
    """A signature over one order is none over its parts or over several."""
    payload = fleet.order(DEVICE)
    envelope = fleet.sign("command", payload, "alice")
    ring = [fleet.blob("alice")]
    good = signed_bytes("command", payload)
    assert verify_detached(good, envelope.signatures[0], ring) == fleet.keys["alice"]
    for other in (payload, good[:-1], good + b"\0", good * 2, good.replace(b"\0", b"", 1)):
        refuse(other, envelope.signatures[0], ring[0])
