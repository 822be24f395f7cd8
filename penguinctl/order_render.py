"""An order for people: each word of it read from the bytes that are signed."""

from __future__ import annotations

import hashlib
import shlex
from datetime import timedelta
from typing import TYPE_CHECKING

from penguinctl import moments, ui
from penguindome.display import printable
from penguindome.orders.bodies import CancelBody, CommandBody, PatchBody, WipeBody
from penguindome.orders.release_body import ReleaseBody
from penguindome.orders.shell_body import ShellBody
from penguindome.times import format_duration, to_unix_ms

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from penguindome.orders.kinds import Kind
    from penguindome.orders.manifest import FileEntry
    from penguindome.orders.opening import Body
    from penguindome.payload import Payload

# Beyond these the rest is counted; `penguinctl order show ID -o json` has all of it.
_DEVICES = 50
_FILES = 100
_LINES = 60
# How broad names of rows are.
_NAMES = 14

WORDS = {
    "release": "a release: the tree of every device",
    "patch": "a patch: files in the tree of single devices",
    "command": "runs a program",
    "wipe-plan": "a wipe's dry run: says what a wipe would do, and does nothing",
    "shell": "a remote session",
    "wipe": "A WIPE: destroys what is on the device, for good",
    "cancel-command": "calls off commands",
    "cancel-patch": "calls off patches",
    "cancel-wipe": "calls off a wipe",
}
_LEVELS = {
    "lock": "lock: accounts are locked, their sessions end; files stay",
    "erase-homes": "erase-homes: home folders are erased, accounts are deleted",
    "crypto-erase": "crypto-erase: keys of encrypted volumes are destroyed; then as erase-homes",
}


def show(kind: Kind, payload: Payload, body: Body, now: datetime) -> None:
    """Show an order on standard error, before it is signed."""
    say(rows(kind, payload, body, now), ui.note)


def say(found: Iterable[tuple[str, str]], sink: Callable[..., None]) -> None:
    """Print names and values by `ui.out` or `ui.note`; a value may have several lines."""
    for name, value in found:
        title = f"{name}:" if name else ""
        first, *others = printed(value)
        sink(ui.Styled(f"{title:<{_NAMES}}", "bold"), " ", first)
        for line in others:
            sink(" " * _NAMES, " ", line)


def printed(value: str) -> list[str]:
    """Return a value's lines, each harmless, of which none can be taken for another row."""
    return [printable(line) for line in value.split("\n")]


def counted(payload: Payload) -> str:
    """Return for how many devices an order is: `12 devices`."""
    if payload.all_devices:
        return "the whole fleet"
    return "1 device" if len(payload.devices) == 1 else f"{len(payload.devices):,} devices"


def rows(kind: Kind, payload: Payload, body: Body, now: datetime) -> list[tuple[str, str]]:
    """Return names and values; a value may have several lines, which are not escaped yet."""
    span = format_duration(payload.expires_time - payload.not_before_time)
    end = moments.local(to_unix_ms(payload.expires_time), now)
    return [
        ("Order", payload.id),
        ("Kind", f"{kind.name}, {WORDS[kind.name]}"),
        *_body_rows(payload, body),
        (counted(payload).capitalize(), _devices(payload, body)),
        ("Valid", f"{span}, until {end}"),
        ("Written by", payload.by),
        ("Reason", payload.reason or "-"),
    ]


def _body_rows(payload: Payload, body: Body) -> Iterator[tuple[str, str]]:
    if isinstance(body, CommandBody):
        yield from _command(body)
    elif isinstance(body, PatchBody):
        puts = [one.entry for one in body.files if one.entry is not None]
        removals = [one.path for one in body.files if one.entry is None]
        if puts:
            yield "Files put", _files(puts)
        if removals:
            yield "Files removed", _some(removals, _FILES)
    elif isinstance(body, ReleaseBody):
        yield "Release", f"{payload.seq} {body.label}"
        yield "Files", _files(list(body.files))
        yield from _settings(body)
    elif isinstance(body, ShellBody):
        yield from _shell(body)
    else:
        yield from _ending_rows(body)


def _ending_rows(body: Body) -> Iterator[tuple[str, str]]:
    if isinstance(body, WipeBody):
        yield "Level", _LEVELS[body.level]
        yield "Afterwards", _afterwards(body)
    elif isinstance(body, CancelBody):
        yield "Calls off", _some(list(body.order_ids), _FILES)


def _afterwards(body: WipeBody) -> str:
    if not body.reboot:
        return "the machine stays on"
    return "the machine is switched off" if body.level == "crypto-erase" else "it restarts"


def _command(body: CommandBody) -> Iterator[tuple[str, str]]:
    yield "Name", body.name
    if body.script:
        digest = hashlib.sha256(body.script).hexdigest()
        yield "Script", f"{len(body.script):,} bytes, SHA-256 {digest}"
        yield "", _some(body.script.decode("utf-8", "backslashreplace").split("\n"), _LINES, "| ")
        if body.argv:
            yield "Arguments", shlex.join(body.argv)
    else:
        yield "Runs", shlex.join(body.argv)
    yield "As", body.user
    timeout = format_duration(timedelta(seconds=body.timeout_seconds))
    yield "Limits", f"{timeout}; {body.output_limit_bytes:,} bytes of output"


def _shell(body: ShellBody) -> Iterator[tuple[str, str]]:
    if body.purpose == "copy-to":
        mode = f"mode {body.mode:04o}, {body.size:,} bytes, SHA-256 {body.sha256}"
        yield "Copies to", f"{body.path}\n{mode}"
    elif body.purpose == "copy-from":
        yield "Copies from", body.path
    else:
        where = "at a terminal" if body.terminal else "without a terminal"
        yield "Runs", f"{shlex.join(body.argv) or 'the login shell'}, {where}"
    yield "As", body.user
    idle, longest = (
        format_duration(timedelta(seconds=one)) for one in (body.idle_seconds, body.longest_seconds)
    )
    yield "Limits", f"{longest} in all; {idle} without input"
    yield "Recording", _recorded(body)
    if body.moderated:
        yield "Moderated", "somebody who approved it has to watch"


def _recorded(body: ShellBody) -> str:
    if body.recording == "off":
        return "none"
    words = "no recording, no session" if body.recording == "required" else "as far as possible"
    keys = len(body.auditor_keys)
    if not keys:
        return f"{words}; the server can read it"
    digests = [hashlib.sha256(one).hexdigest() for one in body.auditor_keys]
    return "\n".join([f"{words}; sealed to {keys} key{'s' * (keys > 1)}, SHA-256:", *digests])


def _settings(body: ReleaseBody) -> Iterator[tuple[str, str]]:
    for name, value in body.settings.to_json().items():
        if value not in ({}, []):
            yield name.replace("_", " ").capitalize(), str(value)


def _files(files: list[FileEntry]) -> str:
    lines = [f"{one.path}  {one.mode:04o}  {one.size:,} bytes  {one.sha256}" for one in files]
    return _some(lines, _FILES)


def _devices(payload: Payload, body: Body) -> str:
    if isinstance(body, ReleaseBody):
        return "now and later, as its rollout says"
    names = sorted((body.hostnames.get(one, "-"), one) for one in payload.devices)
    return _some([f"{name} ({device_id})" for name, device_id in names], _DEVICES)


def _some(lines: list[str], limit: int, mark: str = "") -> str:
    rest = [f"… and {len(lines) - limit:,} more"] if len(lines) > limit else []
    return "\n".join([mark + line for line in lines[:limit]] + rest)
