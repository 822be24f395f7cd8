"""Parameters: values that operators set on devices, and the rules of linking devices.

`user_email` is one mail address. `user_clients` links the devices of one person:

1. Linked devices form groups. A device is in one group at most, and each member lists all others,
   so that links are symmetric and transitive by construction.
2. Setting A to a list makes the group of A exactly A and the list.
3. A device that is on the list leaves the group that it was in. Those who stay there are linked to
   each other still.
4. A device that was in A's group and is not on the list is dropped: it is linked to nobody.
5. Unsetting A takes A out of its group. Those who stay are linked to each other still.
6. Who is left alone has no links. Nobody is linked to itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import datetime

EMAIL = "user_email"
LINKS = "user_clients"
NAMES = (LINKS, EMAIL)
MAX_LINKED = 64

# Source: RFC 5321, 4.5.3.1, and the atoms of RFC 5322, 3.2.3; quoted local parts are left out.
_MAX_ADDRESS = 254
_MAX_LOCAL = 64
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_WORD = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"{_WORD}(?:\.{_WORD})*")

#: By device, all others of its group, sorted.
LinkMap = dict[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value of one device; no `values` means that it was unset, then and by whom.

    `hostname` is the device's, as it was last known.
    """

    device_id: str
    hostname: str
    name: str
    values: tuple[str, ...]
    set_by: str
    set_time: datetime


def check_name(name: str) -> None:
    """Check that there is such a parameter.

    Raises:
        InvalidInput: there is none; names those there are.
    """
    if name not in NAMES:
        raise InvalidInput(
            f"there is no parameter {name[:64]!a}",
            subject="name",
            remedy=f"the parameters are {', '.join(NAMES)}",
        )


def mail_address(values: Sequence[str]) -> str:
    """Return the one mail address among values.

    Raises:
        InvalidInput: there are several or none, or it is no address.
    """
    if len(values) != 1:
        raise InvalidInput(
            f"{EMAIL} takes one mail address, not {len(values)} values", subject=EMAIL
        )
    address = values[0]
    local, at, domain = address.rpartition("@")
    good = (
        at
        and len(address) <= _MAX_ADDRESS
        and len(local) <= _MAX_LOCAL
        and _LOCAL.fullmatch(local)
        and _DOMAIN.fullmatch(domain)
    )
    if not good:
        raise InvalidInput(
            f"{address[:80]!a} is no mail address",
            subject=EMAIL,
            remedy="for example ann@example.com, without a name or brackets",
        )
    return address


def check_links(device_id: str, others: Collection[str]) -> None:
    """Check what a device shall be linked with.

    Raises:
        InvalidInput: with itself, with nothing, or with too many.
    """
    if device_id in others:
        raise InvalidInput("a device cannot be linked with itself", subject=LINKS)
    if not others:
        raise InvalidInput(
            f"{LINKS} needs a device", subject=LINKS, remedy="unset it to end a device's links"
        )
    if len(others) >= MAX_LINKED:
        raise InvalidInput(f"at most {MAX_LINKED} devices can be linked", subject=LINKS)


def linked(links: Mapping[str, Sequence[str]], device_id: str, others: Collection[str]) -> LinkMap:
    """Return the links after setting a device's (rules 2 to 4).

    Args:
        links: the present ones of at least all groups that the devices are in.
        device_id: whose links are set.
        others: the whole new list.
    """
    group = {device_id, *others}
    dropped = set(links.get(device_id, ())) - group
    return (
        _without(links, group | dropped)
        | dict.fromkeys(dropped, ())
        | {member: tuple(sorted(group - {member})) for member in group}
    )


def unlinked(links: Mapping[str, Sequence[str]], device_id: str) -> LinkMap:
    """Return the links after unsetting a device's (rule 5); `links` as for `linked`."""
    return _without(links, {device_id}) | {device_id: ()}


def _without(links: Mapping[str, Sequence[str]], leavers: Collection[str]) -> LinkMap:
    """Return the links among those who stay where they are."""
    return {
        member: tuple(sorted(set(others).difference(leavers)))
        for member, others in links.items()
        if member not in leavers
    }
