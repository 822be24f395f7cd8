"""Take checked fields out of the JSON of an order's body or a receipt."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, NoReturn

from penguindome.errors import InvalidInput
from penguindome.ids import is_device_id
from penguindome.names import clean_hostname, valid_account_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from penguindome.strict_json import Json


class Fields:
    """One JSON object; what nobody took is refused at the end.

    Args:
        value: The object.
        what: What it is, for errors.
        code: The errors' code.
    """

    def __init__(self, value: Json, what: str, code: str = "bad-payload") -> None:
        self._what = what
        self._code = code
        if not isinstance(value, dict):
            self.refuse("it is no object")
        self._left = dict(value)

    def take(self, name: str, kind: type[Any], default: Any = None) -> Any:
        """Return a field of a type; a field without a default has to be there."""
        found = self._left.pop(name, default)
        if not isinstance(found, kind) or (isinstance(found, bool) and kind is not bool):
            self.refuse(f"{name} is missing or of the wrong type")
        return found

    def text(self, name: str, limit_bytes: int, default: str | None = None) -> str:
        """Return a text that is not too long."""
        found: str = self.take(name, str, default)
        if len(found.encode()) > limit_bytes or "\0" in found:
            self.refuse(f"{name} is longer than {limit_bytes} bytes, or has a NUL in it")
        return found

    def number(self, name: str, least: int, most: int, default: int | None = None) -> int:
        """Return a whole number within bounds."""
        found: int = self.take(name, int, default)
        if not least <= found <= most:
            self.refuse(f"{name} is not within {least} and {most}")
        return found

    def choice(self, name: str, choices: Collection[str]) -> str:
        """Return one of several words."""
        found: str = self.take(name, str)
        if found not in choices:
            self.refuse(f"{name} is none of {', '.join(sorted(choices))}")
        return found

    def texts(self, name: str, count: int, limit_bytes: int) -> tuple[str, ...]:
        """Return a list of texts; a missing one is empty."""
        found = self.take(name, list, [])
        good = len(found) <= count and all(
            isinstance(one, str) and len(one.encode()) <= limit_bytes and "\0" not in one
            for one in found
        )
        if not good:
            self.refuse(f"{name} has more than {count} entries, or one that is no text or too long")
        return tuple(found)

    def hostnames(self) -> dict[str, str]:
        """Return what the operator was shown, by device id; at least one."""
        found = self.take("hostnames", dict)
        good = all(
            is_device_id(key) and isinstance(name, str) and clean_hostname(name) == name
            for key, name in found.items()
        )
        if not found or not good:
            self.refuse("hostnames has none, or something that is none")
        return dict(found)

    def user(self, default: str | None = None) -> str:
        """Return the name of an account."""
        found = self.text("user", 64, default)
        if not valid_account_name(found):
            self.refuse("its user is none")
        return found

    def decoded(self, name: str, text: str, limit_bytes: int) -> bytes:
        """Return the bytes that a text of a field says in base64."""
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError:
            self.refuse(f"{name} is not base64")
        if len(data) > limit_bytes:
            self.refuse(f"{name} is larger than {limit_bytes} bytes")
        return data

    def end(self) -> None:
        """Refuse fields that nobody knows."""
        if self._left:
            self.refuse(f"{min(self._left)[:64]} is unknown")

    def refuse(self, reason: str) -> NoReturn:
        """Raise InvalidInput for this object."""
        raise InvalidInput(f"{self._what} is malformed: {reason}", code=self._code)
