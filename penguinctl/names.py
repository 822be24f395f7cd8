"""Names that answers brought, remembered for shell completion.

Each profile has a file in the cache folder, private to its owner. Completion only reads it; no
command depends on it, so whatever goes wrong with it is passed over in silence.
Trust: devices choose their names. Only names that no shell takes for anything but a word are kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from penguindome import durable
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from google.protobuf.message import Message

    from penguinctl.profile import ProfileFolder

KINDS = (
    "hostnames", "device_ids", "labels", "issues", "issue_ids", "checks", "operators", "tokens",
    "orders", "sessions",
)  # fmt: skip
MOST = 5_000
_LIMIT_BYTES = 4 * 1024 * 1024
# Neither a shell's syntax, nor its patterns, nor an option, nor a line of a completion script.
_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,252}")

Found = dict[str, list[str]]


def harmless(name: Any) -> bool:
    """Tell whether any shell takes a name for a plain word."""
    return isinstance(name, str) and bool(_HARMLESS.fullmatch(name))


def path_of(folder: Path) -> Path:
    """Return where a profile's names are. Source: XDG Base Directory Specification 0.8."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".cache"
    profile = hashlib.sha256(os.fsencode(folder.absolute())).hexdigest()[:24]
    return root / "penguinctl" / f"{profile}.json"


def recall(folder: Path) -> Found:
    """Return the names that are remembered for a profile; none if the file is not to be trusted."""
    path = path_of(folder)
    with contextlib.suppress(PenguinDomeError, OSError, ValueError):
        durable.check_private(path, owner_uid=os.geteuid(), max_mode=0o600, directory=False)
        value = json.loads(durable.read_file(path, _LIMIT_BYTES))
        if isinstance(value, dict):
            return {kind: list(filter(harmless, _texts(value.get(kind)))) for kind in KINDS}
    return {}


def learn(folder: ProfileFolder, method: str, request: Message, response: Message) -> None:
    """Remember the names in an answer; an answer that holds all there are replaces the old ones."""
    reader = _READERS.get(method)
    if reader is None or not folder.exists():
        return
    found: dict[str, list[str]] = {}
    for kind, name in reader(response):
        if harmless(name):
            found.setdefault(kind, []).append(name)
    before = recall(folder.path)
    whole = _WHOLE.get(method, ()) if not request.ListFields() else ()
    after = before | {
        kind: _merged(found.get(kind, []), () if kind in whole else before.get(kind, ()))
        for kind in {*found, *whole}
    }
    if after != before:
        with contextlib.suppress(PenguinDomeError, OSError):
            _write(path_of(folder.path), after)


def forget(folder: Path) -> None:
    """Remove what is remembered for a profile."""
    with contextlib.suppress(OSError):
        path_of(folder).unlink(missing_ok=True)


def _merged(new: Iterable[str], old: Iterable[str]) -> list[str]:
    return sorted(list(dict.fromkeys([*new, *old]))[:MOST])


def _write(path: Path, names: Mapping[str, list[str]]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    durable.write_file(path, json.dumps(names).encode(), 0o600)


def _texts(value: Any) -> list[Any]:
    return value[:MOST] if isinstance(value, list) else []


def _devices(response: Any) -> Iterator[tuple[str, str]]:
    for device in response.devices:
        yield "hostnames", device.hostname
        yield "device_ids", device.device_id
        yield from (("labels", label) for label in device.labels)
        yield from (("issues", name) for name in device.open_issues)


def _issues(response: Any) -> Iterator[tuple[str, str]]:
    for issue in response.issues:
        yield "issues", issue.name
        yield "issue_ids", issue.issue_id
        yield "hostnames", issue.hostname


def _checks(response: Any) -> Iterator[tuple[str, str]]:
    yield from (("checks", check.name) for check in response.checks)


def _tokens(response: Any) -> Iterator[tuple[str, str]]:
    yield from (("tokens", token.token_id) for token in response.tokens)


def _orders(response: Any) -> Iterator[tuple[str, str]]:
    yield from (("orders", order.order_id) for order in response.orders)


def _operators(response: Any) -> Iterator[tuple[str, str]]:
    yield from (("operators", operator.name) for operator in response.operators)


def _sessions(response: Any) -> Iterator[tuple[str, str]]:
    for one in response.sessions:
        yield "sessions", one.order_id


_READERS: dict[str, Callable[[Any], Iterator[tuple[str, str]]]] = {
    "device.ListDevices": _devices,
    "issue.ListIssues": _issues,
    "check.ListChecks": _checks,
    "token.ListTokens": _tokens,
    "operator.ListOperators": _operators,
    "order.ListOrders": _orders,
    "shell.ListSessions": _sessions,
}
# What an answer to a request without any wish holds all of.
_WHOLE = {
    "device.ListDevices": ("hostnames", "device_ids", "labels"),
    "issue.ListIssues": ("issue_ids",),
    "check.ListChecks": ("checks",),
    "token.ListTokens": ("tokens",),
    "operator.ListOperators": ("operators",),
}
