"""Read the words with which operators pick devices.

Bare words are hostnames, ids or globs; several names are alternatives; labels and failing checks
narrow. No term at all means every device.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from penguindome.errors import InvalidInput
from penguindome.names import valid_label

if TYPE_CHECKING:
    from collections.abc import Sequence

TERM_LIMIT = 1_000
_KINDS = ("name", "id", "label", "failing")
_PATTERN = re.compile(r"[A-Za-z0-9._*?\[\]!\\ -]{1,253}")
_CHECK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Selector:
    """Pick devices.

    Attributes:
        names: Globs; `id:…` looks at ids only, `name:…` at hostnames only, others at both.
        labels: Labels that a device must have, all of them.
        failing: Checks that a device must fail, all of them.
    """

    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()


def parse_selector(terms: Sequence[str]) -> Selector:
    """Return the selector that terms mean.

    Raises:
        InvalidInput: A term cannot be read; names it and the forms there are.
    """
    if len(terms) > TERM_LIMIT:
        raise InvalidInput(f"more than {TERM_LIMIT} selector terms", code="bad-selector")
    found: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for term in terms:
        kind, value = _split(term)
        found["name" if kind in ("id", "") else kind].append(value)
    return Selector(*(tuple(dict.fromkeys(found[kind])) for kind in ("name", "label", "failing")))


def matches_name(selector: Selector, hostname: str, device_id: str) -> bool:
    """Tell whether the selector's names admit a device; no names admit all."""
    if not selector.names:
        return True
    return any(_matches(name, hostname.lower(), device_id) for name in selector.names)


def _matches(name: str, hostname: str, device_id: str) -> bool:
    kind, _, pattern = name.rpartition(":")
    pattern = pattern.lower()
    by_name = kind != "id" and fnmatchcase(hostname, pattern)
    return by_name or (kind != "name" and fnmatchcase(device_id, pattern))


def _split(term: str) -> tuple[str, str]:
    """Return kind and value of a term; names keep their prefix, if they have one."""
    kind, colon, value = term.partition(":")
    if not colon:
        kind, value = "", term
    elif kind not in _KINDS:
        raise _bad(term, f"{kind[:40]!r} is none of name, id, label, failing")
    if kind == "label":
        good = valid_label(value)
    elif kind == "failing":
        good = _CHECK.fullmatch(value) is not None
    else:
        good = _PATTERN.fullmatch(value) is not None
        value = term
    if not good:
        raise _bad(term, "a name, a label or a check cannot look like that")
    return kind, value


def _bad(term: str, reason: str) -> InvalidInput:
    return InvalidInput(
        reason,
        code="bad-selector",
        subject=term[:80],
        remedy="Write a hostname, an id, a glob such as web-*, label:WORD or failing:CHECK",
    )
