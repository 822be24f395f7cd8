"""Checks of authorities, certificates and ports: what devices see of this server."""

from __future__ import annotations

import socket
import ssl
from datetime import timedelta
from typing import TYPE_CHECKING

from penguind.chain import verify_by_any
from penguind.doctor.running import Finding, fail, ok, warn
from penguind.identity.authority import anchor_key, load_anchors, load_authority
from penguindome import certs
from penguindome.durable import read_file

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from penguind.config_listeners import ListenerSettings
    from penguind.doctor.examination import Examination

_CONNECT_SECONDS = 3.0
_SOON = timedelta(days=30)
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- only compared


def authorities(examination: Examination) -> Finding:
    """Check the authorities of devices and operators."""
    fleet = examination.settings.server.fleet_id
    authority = load_authority(examination.state_dir, fleet)
    ends = authority.ends()
    over = [kind for kind, end in ends.items() if end < examination.now]
    text = ", ".join(f"{kind} until {end:%Y-%m-%d}" for kind, end in ends.items())
    if over:
        return fail(f"ended: {text}", f"penguind ca rotate {over[0]}")
    problems = authority.problems(examination.now)
    return warn(" ".join(problems), "do what it says") if problems else ok(text)


def anchors(examination: Examination) -> Finding:
    """Check the anchors, which devices and operators trust."""
    found = load_anchors(examination.state_dir)
    end = certs.parse_certificate(found[0].certificate).not_after
    key = (
        "its key is here" if anchor_key(examination.state_dir).exists() else "its key is elsewhere"
    )
    text = f"{len(found)} known, the newest until {end:%Y-%m-%d}; {key}"
    if end < examination.now:
        return fail(f"ended: {text}", "penguind ca rotate anchor, and enroll devices anew")
    if end - examination.now < timedelta(days=365):
        return warn(text, "penguind ca rotate anchor, while devices can still learn the next one")
    return ok(text)


def certificates(examination: Examination) -> Finding:
    """Check the certificate of every listener as devices do: chain, name and dates."""
    ends: list[datetime] = []
    for one in examination.settings.listeners:
        verify_by_any(one.certificate, one.key, examination.state_dir, one.advertised_host)
        ends.append(certs.parse_certificate(read_file(one.certificate.resolve())).not_after)
    text = f"devices accept what {len(ends)} listeners show, until {min(ends):%Y-%m-%d}"
    if min(ends) < examination.now:
        return fail(f"a certificate ended on {min(ends):%Y-%m-%d}", "run penguind setup again")
    if min(ends) - examination.now < _SOON:
        return warn(text, "run penguind setup again, or replace your own certificate")
    return ok(text)


def ports(examination: Examination) -> Finding:
    """Check who answers on the listeners' ports of this machine."""
    silent, foreign = [], []
    for one in examination.settings.listeners:
        host = _LOOPBACK.get(one.address, one.address)
        answer = _answer(examination, host, one.port, one.advertised_host)
        if answer == "silent":
            silent.append(f"{one.name} ({one.port})")
        elif answer != "ours":
            foreign.append(f"{one.name} ({one.port}): {answer}")
    if foreign:
        return fail(f"another program has the port of {'; '.join(foreign)}", "end it (ss -ltnp)")
    if silent:
        return warn(f"nobody listens for {', '.join(silent)}", "start penguind")
    return ok(f"{len(examination.settings.listeners)} listeners answer with our certificate")


def advertised(examination: Examination) -> Finding:
    """Check that what devices dial leads here."""
    lost, unresolved = [], []
    for one in _first_of_each(examination.settings.listeners):
        try:
            socket.getaddrinfo(one.advertised_host, one.advertised_port)
        except OSError:
            unresolved.append(one.advertised_host)
            continue
        answer = _answer(examination, one.advertised_host, one.advertised_port, one.advertised_host)
        if answer != "ours":
            lost.append(f"{one.advertised_host}:{one.advertised_port} ({answer})")
    if unresolved:
        return fail(f"no address for {', '.join(unresolved)}", "correct DNS or advertised_host")
    if lost:
        return warn(
            f"from here this server is not met at {', '.join(lost)}",
            "if devices do not get through either: forward the port, or correct advertised_host",
        )
    return ok("the advertised addresses lead here")


def _first_of_each(listeners: Iterable[ListenerSettings]) -> list[ListenerSettings]:
    return list({(one.advertised_host, one.advertised_port): one for one in listeners}.values())


def _answer(examination: Examination, host: str, port: int, name: str) -> str:
    """Return "ours", "silent", or why what answers is not this server."""
    try:
        connection = socket.create_connection((host, port), timeout=_CONNECT_SECONDS)
    except OSError:
        return "silent"
    known = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    known.set_alpn_protocols(["h2"])
    for anchor in load_anchors(examination.state_dir):
        known.load_verify_locations(cadata=anchor.certificate.decode())
    with connection:
        try:
            known.wrap_socket(connection, server_hostname=name).close()
        except ssl.SSLError as error:
            return str(error.reason or "it speaks no TLS").lower().replace("_", " ")
        except OSError:
            return "it speaks no TLS"
    return "ours"
