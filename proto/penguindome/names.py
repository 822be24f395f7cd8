"""Name principals in certificates, and keep names within bounds.

Trust: certificates were verified before; hostnames come from devices and may hold anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from penguindome.display import printable
from penguindome.errors import Unauthenticated
from penguindome.ids import is_device_id, is_fleet_id

HOSTNAME_LIMIT = 253

_URI = re.compile(r"spiffe://([0-9a-f]{32})/(device|operator)/([A-Za-z0-9._-]{1,64})")
_DIALLED = re.compile(r"[A-Za-z0-9.:_-]{1,253}")
_OPERATOR = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ACCOUNT = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Principal:
    """Say who holds a certificate.

    Attributes:
        kind: What kind of principal.
        fleet: The fleet's id.
        name: A device's id or an operator's name.
    """

    kind: Literal["device", "operator"]
    fleet: str
    name: str


def to_uri(principal: Principal) -> str:
    """Return the one URI that stands in the principal's certificate."""
    return f"spiffe://{principal.fleet}/{principal.kind}/{principal.name}"


def parse_uri(uri: str) -> Principal:
    """Return the principal that a certificate's URI names.

    Raises:
        Unauthenticated: The URI is not of our form.
    """
    match = _URI.fullmatch(uri)
    if match is not None and is_fleet_id(match[1]):
        name = match[3]
        if match[2] == "device" and is_device_id(name):
            return Principal("device", match[1], name)
        if match[2] == "operator" and valid_operator_name(name):
            return Principal("operator", match[1], name)
    raise Unauthenticated(
        "the certificate names neither a device nor an operator", code="bad-certificate-name"
    )


def valid_account_name(name: str) -> bool:
    """Tell whether a device may have an account of this name."""
    return _ACCOUNT.fullmatch(name) is not None


def valid_operator_name(text: str) -> bool:
    """Tell whether a text may be an operator's name: lower case, digits and `._-`."""
    return _OPERATOR.fullmatch(text) is not None


def is_dialled_host(text: str) -> bool:
    """Whether a text can be a host to dial: a DNS name or an address, without port or brackets."""
    return _DIALLED.fullmatch(text) is not None


def valid_label(text: str) -> bool:
    """Tell whether a text may be a label: letters, digits and `._-`, at most 64."""
    return _LABEL.fullmatch(text) is not None


def clean_hostname(raw: str) -> str:
    """Return a hostname with everything unprintable escaped, cut to 253 characters."""
    return printable(raw[:HOSTNAME_LIMIT].strip())[:HOSTNAME_LIMIT].strip() or "unnamed"
