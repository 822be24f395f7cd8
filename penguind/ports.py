"""Listeners as the administrator sees and changes them, in the settings file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguind.chain import verify_by_any
from penguind.config import load_settings
from penguind.config_listeners import KINDS, check_name, generated_paths
from penguind.identity.server_certificate import is_address, read_anchor_key, server_chain
from penguind.privileges import acting_as, check_secret
from penguind.settings_file import SettingsFile
from penguind.tls import CertificateSource
from penguindome import certs
from penguindome.channels import target
from penguindome.durable import make_private_dir, read_file, write_file
from penguindome.errors import (
    AlreadyExists,
    InvalidInput,
    NotFound,
    PenguinDomeError,
    PreconditionFailed,
)
from penguindome.names import is_dialled_host

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

    from penguind.config import Settings
    from penguind.config_listeners import ListenerKind, ListenerSettings
    from penguindome.times import Clock


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be different about a listener; None and "" leave things as they are.

    `certificate` and `key` are the administrator's own files; `generate` asks for one of penguind's
    for the advertised host and `names`, with the anchor's key if it is not on this machine.
    """

    port: int | None = None
    address: str = ""
    advertised_host: str = ""
    advertised_port: int | None = None
    deprecated: bool | None = None
    certificate: Path | None = None
    key: Path | None = None
    generate: bool = False
    names: Sequence[str] = ()
    anchor_key: bytes = b""


@dataclass(frozen=True, slots=True)
class Port:
    """A listener and what its certificate is; `problem` says why devices would not accept it."""

    listener: ListenerSettings
    names: Sequence[str]
    ends_time: datetime | None
    missing: bool
    problem: str


def describe(settings: Settings, clock: Clock) -> list[Port]:
    """Return all listeners; certificates are looked at as the service's user."""
    with acting_as(settings.server.user):
        return [_port(one, settings.server.state_dir, clock) for one in settings.listeners]


def warnings(settings: Settings, clock: Clock) -> list[str]:
    """Return what devices or a restart would stumble over, a sentence each."""
    found = [
        f"The listener {one.listener.name} is not usable, and penguind would not start:"
        f" {one.problem}."
        for one in describe(settings, clock)
        if one.problem
    ]
    dialled, listeners = settings.advertised, settings.listeners
    for kind, port in (("main", dialled.main_port), ("bootstrap", dialled.bootstrap_port)):
        same = [one for one in listeners if one.kind == kind]
        told = f"{target(dialled.host, port)} ({kind})"
        if all(one.deprecated for one in same):
            found.append(f"New devices are told to dial {told}, which is deprecated.")
        elif not any((one.advertised_host, one.advertised_port) == (dialled.host, port)
                     for one in same if not one.deprecated):  # fmt: skip
            found.append(
                f"New devices are told to dial {told}, and no {kind} listener is advertised so:"
                " a token has one host for both kinds."
            )
    return found


def add(path: Path, name: str, kind: ListenerKind, change: Change, clock: Clock) -> Settings:
    """Add a further listener; returns the settings with it.

    Raises:
        InvalidInput, AlreadyExists: the name is none or is taken, or a value is wrong.
        PreconditionFailed: its certificate would not be accepted.
    """
    check_name(name)
    if any(one.name == name for one in load_settings(path).listeners):
        raise AlreadyExists(
            "there is such a listener",
            subject=name,
            remedy=f"change it with: penguind ports configure {name}",
        )
    file = SettingsFile(path)
    file.set(("listeners", name), "kind", kind)
    return _change(path, file, name, change, clock)


def configure(path: Path, name: str, change: Change, clock: Clock) -> Settings:
    """Change a listener; returns the settings with it.

    Raises:
        NotFound: there is none.
        InvalidInput, PreconditionFailed: as `add`.
    """
    back = name in KINDS and change.port is not None
    if not back:
        _known(load_settings(path), name)
    return _change(path, SettingsFile(path), name, change, clock)


def remove(path: Path, name: str) -> Settings:
    """Remove a listener; returns the settings without it.

    Raises:
        NotFound: there is none.
        PreconditionFailed: it is the last one of its kind.
    """
    settings = load_settings(path)
    gone = _known(settings, name)
    if sum(one.kind == gone.kind for one in settings.listeners) == 1:
        raise PreconditionFailed(
            f"it is the last {gone.kind} listener: nobody could come in any more",
            code="last-listener",
            subject=name,
            remedy="add another one first, with: penguind ports add",
        )
    file = SettingsFile(path)
    if name in KINDS:
        file.set(("listen",), f"{name}_port", 0)
        for key in (f"advertised_{name}_port", f"{name}_deprecated"):
            file.drop(("listen",), key)
    else:
        file.drop(("listeners",), name)
    with file.changed():
        pass
    return load_settings(path)


def _change(path: Path, file: SettingsFile, name: str, change: Change, clock: Clock) -> Settings:
    for host in (*change.names, *filter(None, (change.advertised_host,))):
        _check_host(host)
    _edit(file, name, change, load_settings(path).server.state_dir)
    with file.changed() as settings:
        if change.generate or change.certificate is not None:
            with acting_as(settings.server.user):
                if change.generate:
                    _generate(settings, name, change, clock())
                _check(_known(settings, name), settings.server.state_dir, clock)
    return load_settings(path)


def _edit(file: SettingsFile, name: str, change: Change, state_dir: Path) -> None:
    first = name in KINDS
    table = ("listen",) if first else ("listeners", name)
    values = {
        f"{name}_port" if first else "port": change.port,
        "address": change.address or None,
        f"advertised_{name}_port" if first else "advertised_port": change.advertised_port,
        f"{name}_deprecated" if first else "deprecated": change.deprecated,
    }
    for key, value in values.items():
        if value is not None:
            file.set(table, key, value)
    if change.advertised_host:
        where = ("server",) if first else table
        file.set(where, "advertised_host", change.advertised_host)
    if change.certificate is not None:
        file.set(table, "certificate", str(change.certificate))
        file.set(table, "key", str(change.key))
    elif change.generate and first:
        file.drop(table, "certificate")
        file.drop(table, "key")
    elif change.generate:
        own, own_key = generated_paths(state_dir, name)
        file.set(table, "certificate", str(own))
        file.set(table, "key", str(own_key))


def _generate(settings: Settings, name: str, change: Change, now: datetime) -> None:
    """Make a certificate for whatever the listeners that show it are dialled by.

    Raises:
        PreconditionFailed: the anchor's key is elsewhere.
    """
    state_dir = settings.server.state_dir
    certificate, key = generated_paths(state_dir, name)
    # All that show it have to be covered.
    hosts = [one.advertised_host for one in settings.listeners if one.certificate == certificate]
    names = tuple(dict.fromkeys((*hosts, *(change.names or _names(certificate)))))
    anchor_key = read_anchor_key(state_dir, change.anchor_key)
    key_pem = certs.generate_key()
    chain = server_chain(state_dir, key_pem, names, now, anchor_key)
    make_private_dir(certificate.parent)
    write_file(key, key_pem, 0o600)
    write_file(certificate, chain, 0o644)


def _check(listener: ListenerSettings, state_dir: Path, clock: Clock) -> CertificateSource:
    """Check a listener's certificate as the server will at its start, and devices then."""

    def accept() -> None:
        verify_by_any(listener.certificate, listener.key, state_dir, listener.advertised_host)

    check_secret(listener.key)
    return CertificateSource(listener.certificate, listener.key, clock, accept)


def _port(listener: ListenerSettings, state_dir: Path, clock: Clock) -> Port:
    problem, missing, ends_time = "", False, None
    try:
        missing = not (listener.certificate.exists() and listener.key.exists())
        if not missing:
            ends_time = certs.parse_certificate(listener.certificate.read_bytes()).not_after
        _check(listener, state_dir, clock)
    except PenguinDomeError as error:
        problem = error.text()
    except OSError as error:
        problem = f"{error.filename}: {error.strerror}"
    return Port(listener, _names(listener.certificate), ends_time, missing, problem)


def _names(certificate: Path) -> Sequence[str]:
    try:
        facts = certs.parse_certificate(read_file(certificate.resolve()))
    except (PenguinDomeError, OSError):
        return ()
    return (*facts.dns_names, *facts.ip_addresses)


def _check_host(host: str) -> None:
    if not is_dialled_host(host) or (":" in host and not is_address(host)):
        raise InvalidInput(
            "not a host that devices can dial",
            subject=host[:64] or "host",
            remedy="give a DNS name or an IP address, without a port, brackets or zone",
        )


def _known(settings: Settings, name: str) -> ListenerSettings:
    for one in settings.listeners:
        if one.name == name:
            return one
    raise NotFound(
        "there is no such listener",
        subject=name[:64],
        remedy=f"there are: {', '.join(one.name for one in settings.listeners)}",
    )
