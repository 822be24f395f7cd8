"""Changing the settings file as a person would: comments and layout stay, and it is never half."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from penguind.config import load_settings
from penguindome.durable import raise_for, read_file, sync_dir, write_file
from penguindome.errors import InvalidInput, PreconditionFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from penguind.config import Settings


class SettingsFile:
    """The settings' text, to change and to put back.

    Raises:
        NotFound, PreconditionFailed: it cannot be read.
        InvalidInput: it is not TOML.
    """

    def __init__(self, path: Path) -> None:
        # The settings may be a link on purpose: what it leads to is changed.
        self._path = path.resolve()
        self._former = read_file(self._path)
        try:
            self._document = tomlkit.parse(self._former.decode())
        except (TOMLKitError, UnicodeDecodeError) as error:
            raise InvalidInput(f"is not TOML: {error}", subject=str(path)) from None

    def set(self, tables: tuple[str, ...], key: str, value: str | int | bool) -> None:  # noqa: FBT001 -- a setting
        """Set a key of a table, which is made where it is missing."""
        table: Any = self._document
        for depth, name in enumerate(tables, 1):
            if name not in table:
                table[name] = tomlkit.table(is_super_table=depth < len(tables))
            table = table[name]
        table[key] = value

    def drop(self, tables: tuple[str, ...], key: str) -> None:
        """Remove a key, or a table, and what is empty without it; nothing if it is not there."""
        table: Any = self._document
        for name in tables:
            if name not in table:
                return
            table = table[name]
        if key in table:
            del table[key]
        if tables and not table:
            self.drop(tables[:-1], tables[-1])

    @contextmanager
    def changed(self) -> Iterator[Settings]:
        """Hand out the settings as they will be, and replace the file at the block's good end.

        Raises:
            InvalidInput: they would not be settings any more.
            PreconditionFailed: somebody else changed the file meanwhile, or it cannot be written.
            LimitExceeded: the disk is full.
        """
        candidate = self._path.with_name(f".{self._path.name}.{secrets.token_hex(6)}.new")
        try:
            self._write(candidate)
            yield self._read(candidate)
            if read_file(self._path) != self._former:
                raise PreconditionFailed(
                    "the settings were changed by somebody else meanwhile",
                    code="settings-changed",
                    subject=str(self._path),
                    remedy="run the command again",
                )
            self._install(candidate)
        finally:
            candidate.unlink(missing_ok=True)

    def _write(self, candidate: Path) -> None:
        write_file(candidate, tomlkit.dumps(self._document).encode(), 0o600)
        facts = self._path.stat()
        try:
            if (facts.st_uid, facts.st_gid) != (os.geteuid(), candidate.stat().st_gid):
                os.chown(candidate, facts.st_uid, facts.st_gid, follow_symlinks=False)
            candidate.chmod(stat.S_IMODE(facts.st_mode))
        except OSError as error:
            raise_for(error, self._path)

    def _read(self, candidate: Path) -> Settings:
        try:
            return load_settings(candidate)
        except InvalidInput as error:
            raise InvalidInput(
                error.reason,
                code=error.code,
                subject=error.subject.replace(str(candidate), str(self._path)),
                remedy=error.remedy,
            ) from None

    def _install(self, candidate: Path) -> None:
        try:
            candidate.replace(self._path)
            sync_dir(self._path.parent)
        except OSError as error:
            raise_for(error, self._path)
