"""The body of an order for a remote shell, a remote program or a file copy on one device."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguindome.orders.fields import Fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from penguindome.strict_json import Json

PURPOSES = ("shell", "copy-to", "copy-from")
RECORDING = ("required", "kept", "off")
LEAST_SECONDS = 10
IDLE_LIMIT_SECONDS = 8 * 3600
LONGEST_LIMIT_SECONDS = 24 * 3600
KEY_BYTES = 32
KEY_LIMIT_BYTES = 8 * 1024
_DIGEST = re.compile(r"[0-9a-f]{64}")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class ShellBody:
    """What a session is.

    Attributes:
        hostnames: Exactly one device.
        operator_key: The operator's ephemeral X25519 key, 32 bytes.
        purpose: One of PURPOSES.
        user: The account.
        argv: A program and its arguments; empty for the account's login shell.
        terminal: Whether it gets a terminal.
        term: The terminal's type.
        lang: The operator's locale; may be empty.
        columns: The terminal's width.
        rows: Its height.
        idle_seconds: Without a byte from the operator it ends after this.
        longest_seconds: It ends after this whatever happens.
        recording: `required` ends the session if it cannot be recorded.
        auditor_keys: OpenPGP public keys, binary, that the recording is sealed to; none leaves it
            readable for the server.
        moderated: Whether a second operator has to watch.
        path: The file on the device, of a copy.
        size: Of the file that is copied to the device, bytes.
        mode: Of the file that is copied to the device.
        sha256: Of the file that is copied to the device, hexadecimal.
        offset: Where a copy from the device goes on, bytes.
    """

    hostnames: Mapping[str, str]
    operator_key: bytes
    purpose: str = "shell"
    user: str = "root"
    argv: tuple[str, ...] = ()
    terminal: bool = True
    term: str = "xterm"
    lang: str = ""
    columns: int = 80
    rows: int = 24
    idle_seconds: int = 15 * 60
    longest_seconds: int = 4 * 3600
    recording: str = "required"
    auditor_keys: tuple[bytes, ...] = ()
    moderated: bool = False
    path: str = ""
    size: int = 0
    mode: int = 0o600
    sha256: str = ""
    offset: int = 0

    def to_json(self) -> dict[str, Json]:
        """Return the body as a payload has it."""
        value: dict[str, Json] = {
            name: getattr(self, name)
            for name in (
                "purpose", "user", "terminal", "term", "lang", "columns", "rows", "idle_seconds",
                "longest_seconds", "recording", "moderated", "path", "size", "sha256", "offset",
            )
        }  # fmt: skip
        return {
            **value,
            "hostnames": dict(self.hostnames),
            "operator_key": base64.b64encode(self.operator_key).decode(),
            "argv": list(self.argv),
            "auditor_keys": [base64.b64encode(one).decode() for one in self.auditor_keys],
            "mode": f"{self.mode:04o}",
        }


def shell_body(value: Json) -> ShellBody:
    """Read a session's body.

    Raises:
        InvalidInput: `bad-payload`.
    """
    fields = Fields(value, "the shell order")
    body = ShellBody(
        hostnames=_hostname(fields),
        operator_key=_operator_key(fields),
        purpose=fields.choice("purpose", PURPOSES),
        user=fields.user(),
        argv=fields.texts("argv", 256, 64 * 1024),
        terminal=fields.take("terminal", bool),
        term=fields.text("term", 64),
        lang=fields.text("lang", 64),
        columns=fields.number("columns", 1, 1000),
        rows=fields.number("rows", 1, 1000),
        idle_seconds=fields.number("idle_seconds", LEAST_SECONDS, IDLE_LIMIT_SECONDS),
        longest_seconds=fields.number("longest_seconds", LEAST_SECONDS, LONGEST_LIMIT_SECONDS),
        recording=fields.choice("recording", RECORDING),
        auditor_keys=_auditors(fields),
        moderated=fields.take("moderated", bool),
        path=fields.text("path", 4096),
        size=fields.number("size", 0, 2**50),
        mode=_mode(fields),
        sha256=fields.text("sha256", 64),
        offset=fields.number("offset", 0, 2**50),
    )
    fields.end()
    _check(fields, body)
    return body


def _check(fields: Fields, body: ShellBody) -> None:
    if not is_word(body.term) or (body.lang and not is_word(body.lang)):
        fields.refuse("its terminal or locale is none")
    if body.argv and not body.argv[0]:
        fields.refuse("its program has no name")
    if (body.purpose == "shell") == bool(body.path) or "\n" in body.path:
        fields.refuse("a copy needs a path, and nothing else has one")
    if (body.purpose == "copy-to") != bool(_DIGEST.fullmatch(body.sha256)):
        fields.refuse("a copy to the device needs a hash, and nothing else has one")


def is_word(text: str) -> bool:
    """Tell whether a text may name a terminal or a locale."""
    return bool(_WORD.match(text))


def _hostname(fields: Fields) -> dict[str, str]:
    found = fields.hostnames()
    if len(found) != 1:
        fields.refuse("it has to be for exactly one device")
    return found


def _operator_key(fields: Fields) -> bytes:
    key = fields.decoded("operator_key", fields.text("operator_key", 64), KEY_BYTES)
    if len(key) != KEY_BYTES:
        fields.refuse("operator_key is too short")
    return key


def _auditors(fields: Fields) -> tuple[bytes, ...]:
    found = fields.texts("auditor_keys", 16, 2 * KEY_LIMIT_BYTES)
    return tuple(fields.decoded("auditor_keys", one, KEY_LIMIT_BYTES) for one in found)


def _mode(fields: Fields) -> int:
    text = fields.text("mode", 4)
    if not re.fullmatch(r"0[0-7]{3}", text):
        fields.refuse("its mode is none")
    return int(text, 8)
