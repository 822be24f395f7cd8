"""The settings of listeners: the first pair in [listen], and any number of further ones."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from penguind.domain.advertised import Advertised
from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from penguindome.settings import Section

ListenerKind = Literal["main", "bootstrap"]
KINDS: tuple[ListenerKind, ...] = ("main", "bootstrap")
MAX_PORT = 65535
#: Names of the first pair, and of the files that it shares.
RESERVED = frozenset({"main", "bootstrap", "server"})
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104 -- recognised, not bound


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where the first pair listens, and what it tells others to dial; port 0 for no listener."""

    address: str
    main_port: int
    bootstrap_port: int
    advertised_main_port: int
    advertised_bootstrap_port: int
    certificate: Path
    key: Path
    main_deprecated: bool = False
    bootstrap_deprecated: bool = False


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """One listener, of the first pair or a further one, with everything that it inherits."""

    name: str
    kind: ListenerKind
    address: str
    port: int
    advertised_host: str
    advertised_port: int
    certificate: Path
    key: Path
    deprecated: bool


def generated_paths(state_dir: Path, name: str) -> tuple[Path, Path]:
    """Return where penguind's own certificate and key for a listener are."""
    stem = "server" if name in KINDS else name
    return state_dir / "tls" / f"{stem}.pem", state_dir / "tls" / f"{stem}-key.pem"


def check_name(name: str) -> None:
    """Check the name of a further listener.

    Raises:
        InvalidInput: it is none.
    """
    if not _NAME.fullmatch(name) or name in RESERVED or name.endswith("-key"):
        raise InvalidInput(
            "is no name for a further listener",
            code="bad-setting",
            subject=name[:64],
            remedy="use 1 to 32 of a-z, 0-9 and -, other than main, bootstrap and server, and "
            "without -key at the end",
        )


def read_listen(section: Section, state_dir: Path) -> ListenSettings:
    """Return the first pair.

    Raises:
        InvalidInput: a value is wrong, or the certificate stands without its key.
    """
    main = section.integer("main_port", default=7443, minimum=0, maximum=MAX_PORT)
    boot = section.integer("bootstrap_port", default=7444, minimum=0, maximum=MAX_PORT)
    files = _files(section, "listen")
    certificate, key = files or generated_paths(state_dir, "main")
    return ListenSettings(
        address=section.text("address", default="0.0.0.0"),  # noqa: S104 -- devices dial in
        main_port=main,
        bootstrap_port=boot,
        advertised_main_port=_advertised_port(section, "advertised_main_port", main),
        advertised_bootstrap_port=_advertised_port(section, "advertised_bootstrap_port", boot),
        certificate=certificate,
        key=key,
        main_deprecated=section.boolean("main_deprecated", default=False),
        bootstrap_deprecated=section.boolean("bootstrap_deprecated", default=False),
    )


def read_listeners(
    section: Section, names: Iterable[str], listen: ListenSettings, host: str
) -> tuple[ListenerSettings, ...]:
    """Return all listeners: the first pair, then the further ones by name.

    Args:
        section: the table of further listeners.
        names: theirs.
        listen: the first pair.
        host: what devices dial unless a listener says otherwise.

    Raises:
        InvalidInput: a value is wrong, two listeners collide, or a kind has none.
    """
    found = [*_first_pair(listen, host)]
    for name in sorted(names):
        check_name(name)
        found.append(_further(section.section(name), name, listen, host))
    for kind in KINDS:
        if not any(one.kind == kind for one in found):
            raise InvalidInput(
                f"there is no {kind} listener",
                code="bad-setting",
                subject="listeners",
                remedy=f"set listen.{kind}_port, or add one: penguind ports add",
            )
    for one, other in combinations(found, 2):
        _check_apart(one, other)
    return tuple(found)


def advertised(listeners: Sequence[ListenerSettings]) -> Advertised:
    """Return what tokens and invitations say: the first listener of each kind that is to stay.

    They have one host for both kinds: one of the main listener's host comes first.
    """
    main = _preferred([one for one in listeners if one.kind == "main"])
    boots = [one for one in listeners if one.kind == "bootstrap"]
    same = [one for one in boots if one.advertised_host == main.advertised_host]
    boot = _preferred([one for one in same if not one.deprecated] or boots)
    return Advertised(main.advertised_host, main.advertised_port, boot.advertised_port)


def overlap(one: str, other: str) -> bool:
    """Tell whether two addresses may be the same; a name may be any of them."""
    # gRPC takes either wildcard for both families.
    if {one, other} & _WILDCARDS:
        return True
    try:
        return _plain(one) == _plain(other)
    except ValueError:
        return True


def _plain(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    found = ipaddress.ip_address(address.strip("[]"))
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    found = mapped or found
    if found.is_unspecified:
        raise ValueError(address)
    return found


def _check_apart(one: ListenerSettings, other: ListenerSettings) -> None:
    if one.port == other.port and overlap(one.address, other.address):
        raise InvalidInput(
            f"the listeners {one.name} and {other.name} both use port {one.port}"
            f" ({one.address} and {other.address})",
            code="port-collision",
            subject="listeners",
            remedy="give one of them another port",
        )


def _preferred(listeners: Sequence[ListenerSettings]) -> ListenerSettings:
    return next((one for one in listeners if not one.deprecated), listeners[0])


def _first_pair(listen: ListenSettings, host: str) -> Iterable[ListenerSettings]:
    pair: tuple[tuple[ListenerKind, int, int, bool], ...] = (
        ("main", listen.main_port, listen.advertised_main_port, listen.main_deprecated),
        (
            "bootstrap",
            listen.bootstrap_port,
            listen.advertised_bootstrap_port,
            listen.bootstrap_deprecated,
        ),
    )
    for kind, port, public, deprecated in pair:
        if port:
            yield ListenerSettings(
                name=kind,
                kind=kind,
                address=listen.address,
                port=port,
                advertised_host=host,
                advertised_port=public,
                certificate=listen.certificate,
                key=listen.key,
                deprecated=deprecated,
            )


def _further(section: Section, name: str, listen: ListenSettings, host: str) -> ListenerSettings:
    kind: ListenerKind = "main" if section.text("kind", choices=KINDS) == "main" else "bootstrap"
    port = section.integer("port", minimum=1, maximum=MAX_PORT)
    certificate, key = _files(section, f"listeners.{name}") or (listen.certificate, listen.key)
    return ListenerSettings(
        name=name,
        kind=kind,
        address=section.text("address", default=listen.address),
        port=port,
        advertised_host=section.text("advertised_host", default="") or host,
        advertised_port=_advertised_port(section, "advertised_port", port),
        certificate=certificate,
        key=key,
        deprecated=section.boolean("deprecated", default=False),
    )


def _files(section: Section, subject: str) -> tuple[Path, Path] | None:
    certificate = section.text("certificate", default="")
    key = section.text("key", default="")
    if bool(certificate) != bool(key):
        raise InvalidInput(
            "certificate and key go together",
            subject=subject,
            remedy="set both to use your own, or neither for penguind's",
        )
    return (Path(certificate), Path(key)) if certificate else None


def _advertised_port(section: Section, name: str, bound: int) -> int:
    return section.integer(name, default=0, minimum=0, maximum=MAX_PORT) or bound
