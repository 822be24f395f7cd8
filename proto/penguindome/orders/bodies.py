"""The bodies of orders for single devices: commands, patches, wipes, cancellations.

Trust: a body is read only after its signatures were counted; reading is strict nevertheless.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penguindome.ids import is_ulid
from penguindome.orders.fields import Fields
from penguindome.orders.manifest import FileEntry, check_manifest, check_path, entry_from_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguindome.strict_json import Json

MIB = 1024 * 1024
SCRIPT_LIMIT_BYTES = 128 * 1024
INLINE_LIMIT_BYTES = 128 * 1024
TIMEOUT_LIMIT_SECONDS = 24 * 3600
OUTPUT_LIMIT_BYTES = 64 * MIB
OUTPUT_DEFAULT_BYTES = 16 * MIB
WIPE_LEVELS = ("lock", "erase-homes", "crypto-erase")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_WORDS = 256
_WORD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class CommandBody:
    """A command or a script, run once on each device.

    Attributes:
        hostnames: What the operator was shown, by device id.
        name: A word for it.
        argv: The program and its arguments; with a script only the script's arguments.
        script: A script's bytes with its #! line, or empty.
        user: The account that it runs as.
        timeout_seconds: After which it is ended.
        output_limit_bytes: What is kept of stdout and of stderr, each.
    """

    hostnames: Mapping[str, str]
    name: str
    argv: tuple[str, ...] = ()
    script: bytes = b""
    user: str = "root"
    timeout_seconds: int = 600
    output_limit_bytes: int = OUTPUT_DEFAULT_BYTES

    def to_json(self) -> dict[str, Json]:
        """Return the body as a payload has it."""
        return {
            "hostnames": dict(self.hostnames),
            "name": self.name,
            "argv": list(self.argv),
            "script": base64.b64encode(self.script).decode(),
            "user": self.user,
            "timeout_seconds": self.timeout_seconds,
            "output_limit_bytes": self.output_limit_bytes,
        }


@dataclass(frozen=True, slots=True)
class PatchFile:
    """One file to be put (`entry`) or removed (`entry` None); small content comes along.

    Attributes:
        path: Beneath the device's tree.
        entry: The new file; None removes it.
        content: Its bytes; None means that they are fetched by their hash.
    """

    path: str
    entry: FileEntry | None
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class PatchBody:
    """Files put into or removed from the tree of single devices, until their next release."""

    hostnames: Mapping[str, str]
    files: tuple[PatchFile, ...]

    def to_json(self) -> dict[str, Json]:
        """Return the body as a payload has it."""
        return {"hostnames": dict(self.hostnames), "files": [_file_json(one) for one in self.files]}


@dataclass(frozen=True, slots=True)
class WipeBody:
    """What is wiped.

    Attributes:
        hostnames: Exactly one device.
        level: One of WIPE_LEVELS.
        confirmation: What the operator typed: the device's id and hostname, a space between;
            empty in a `wipe-plan`.
        reboot: Whether the machine restarts (or stays off, after crypto-erase) in the end.
    """

    hostnames: Mapping[str, str]
    level: str
    confirmation: str = ""
    reboot: bool = True

    def to_json(self) -> dict[str, Json]:
        """Return the body as a payload has it."""
        return {
            "hostnames": dict(self.hostnames),
            "level": self.level,
            "confirmation": self.confirmation,
            "reboot": self.reboot,
        }


@dataclass(frozen=True, slots=True)
class CancelBody:
    """Which orders are called off."""

    hostnames: Mapping[str, str]
    order_ids: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Json]:
        """Return the body as a payload has it."""
        return {"hostnames": dict(self.hostnames), "order_ids": list(self.order_ids)}


def command_body(value: Json) -> CommandBody:
    """Read a command's body.

    Raises:
        InvalidInput: `bad-payload`.
    """
    fields = Fields(value, "the command")
    body = CommandBody(
        hostnames=fields.hostnames(),
        name=fields.text("name", 64),
        argv=fields.texts("argv", _WORDS, _WORD_BYTES),
        script=_content(fields, "script", SCRIPT_LIMIT_BYTES),
        user=fields.user("root"),
        timeout_seconds=fields.number("timeout_seconds", 1, TIMEOUT_LIMIT_SECONDS),
        output_limit_bytes=fields.number("output_limit_bytes", 0, OUTPUT_LIMIT_BYTES),
    )
    fields.end()
    if not _NAME.match(body.name):
        fields.refuse("its name has other characters than letters, digits, _ and -")
    if not body.script and not (body.argv and body.argv[0]):
        fields.refuse("it has neither a program nor a script")
    return body


def patch_body(value: Json) -> PatchBody:
    """Read a patch's body.

    Raises:
        InvalidInput: `bad-payload` or `bad-files`.
    """
    fields = Fields(value, "the patch")
    hostnames = fields.hostnames()
    files = tuple(_patch_file(one) for one in fields.take("files", list))
    fields.end()
    if not files:
        fields.refuse("it has no files")
    paths = [one.path.lower() for one in files]
    if len(set(paths)) != len(paths):
        fields.refuse("it has a path twice")
    check_manifest([one.entry for one in files if one.entry is not None])
    return PatchBody(hostnames, files)


def wipe_body(value: Json) -> WipeBody:
    """Read a wipe's body.

    Raises:
        InvalidInput: `bad-payload`.
    """
    fields = Fields(value, "the wipe")
    body = WipeBody(
        hostnames=fields.hostnames(),
        level=fields.choice("level", WIPE_LEVELS),
        confirmation=fields.text("confirmation", 512, ""),
        reboot=fields.take("reboot", bool, True),
    )
    fields.end()
    if len(body.hostnames) != 1:
        fields.refuse("it names more than one device")
    return body


def cancel_body(value: Json) -> CancelBody:
    """Read a cancellation's body.

    Raises:
        InvalidInput: `bad-payload`.
    """
    fields = Fields(value, "the cancellation")
    body = CancelBody(fields.hostnames(), fields.texts("order_ids", 1000, 26))
    fields.end()
    if not body.order_ids or not all(map(is_ulid, body.order_ids)):
        fields.refuse("it names no order")
    return body


def _content(fields: Fields, name: str, limit_bytes: int) -> bytes:
    return fields.decoded(name, fields.take(name, str, ""), limit_bytes)


def _file_json(one: PatchFile) -> dict[str, Json]:
    if one.entry is None:
        return {"path": one.path, "remove": True}
    value: dict[str, Json] = {"path": one.path, "entry": one.entry.to_json()}
    if one.content is not None:
        value["content"] = base64.b64encode(one.content).decode()
    return value


def _patch_file(value: Json) -> PatchFile:
    fields = Fields(value, "a file of the patch")
    path = check_path(fields.take("path", str))
    if fields.take("remove", bool, False):
        fields.end()
        return PatchFile(path, None)
    entry = entry_from_json(fields.take("entry", dict))
    inline = isinstance(value, dict) and "content" in value
    content = _content(fields, "content", INLINE_LIMIT_BYTES) if inline else None
    fields.end()
    if entry.path != path:
        fields.refuse("it has two paths")
    if content is not None and not _is(content, entry):
        fields.refuse("its content is not what its size and sha256 say")
    return PatchFile(path, entry, content)


def _is(content: bytes, entry: FileEntry) -> bool:
    return (len(content), hashlib.sha256(content).hexdigest()) == (entry.size, entry.sha256)
