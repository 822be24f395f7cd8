"""Several fleets on one machine: profiles by name, and which of them is meant.

The configuration folder itself is the profile `default`; the others stand in its folder
`profiles/`. The file `current-profile` names the one that is used where nobody names another.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguinctl.profile import ProfileFolder
from penguindome import durable
from penguindome.errors import InvalidInput, NotFound

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

DEFAULT = "default"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}")
_CURRENT = "current-profile"
_FOLDER = "profiles"
# Signing keys of removed profiles: without one of them a fleet may be lost.
_KEPT = "kept-keys"
_SIGNING_HOME = "gnupg"
_LARGEST_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is dialled; port 0 is the profile's own."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        """Return it as people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host


def parse_address(text: str) -> Address:
    """Return the address that HOST, HOST:PORT or [HOST]:PORT means.

    Raises:
        InvalidInput: It is none of them.
    """
    host, port = text, ""
    if text.startswith("["):
        host, bracket, port = text[1:].partition("]")
        good = bool(bracket and re.fullmatch(r"[0-9A-Fa-f:.]{2,45}", host))
        good = good and (not port or (port[0] == ":" and len(port) > 1))
        port = port[1:]
    else:
        host, colon, port = text.partition(":")
        good = bool(_HOST.fullmatch(host)) and not (colon and not port)
    if good and not port:
        return Address(host)
    if good and re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) <= _LARGEST_PORT:
        return Address(host, int(port))
    raise InvalidInput(
        "this is no address of a server",
        subject=text,
        remedy="Write HOST, HOST:PORT or, for IPv6, [HOST]:PORT",
    )


class Profiles:
    """All profiles below one configuration folder."""

    def __init__(self, base: Path) -> None:
        """Take the configuration folder, which may be missing."""
        self._base = base

    def current(self) -> str:
        """Return which profile is used where nobody names one.

        Raises:
            PreconditionFailed: Others can write the file that tells.
        """
        base = ProfileFolder(self._base)
        if not base.has(_CURRENT):
            return DEFAULT
        return base.read(_CURRENT).decode("utf-8", "replace").strip() or DEFAULT

    def folder(self, name: str) -> ProfileFolder:
        """Return a profile's folder, which may be missing.

        Raises:
            InvalidInput: The name is none.
        """
        if not _NAME.fullmatch(name):
            raise InvalidInput(
                "this is no name of a profile",
                subject=name,
                remedy="It has lower-case letters, digits and . _ - and begins with one of the"
                " first two",
            )
        if name == DEFAULT:
            return ProfileFolder(self._base)
        return ProfileFolder(self._base / _FOLDER / name)

    def names(self) -> list[str]:
        """Return the profiles that were set up, the default one first."""
        folder = self._base / _FOLDER
        found = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
        found = [name for name in found if _NAME.fullmatch(name) and name != DEFAULT]
        return [name for name in [DEFAULT, *found] if self.folder(name).exists()]

    def known(self, name: str) -> ProfileFolder:
        """Return the folder of a profile that was set up.

        Raises:
            NotFound: It was not.
        """
        folder = self.folder(name)
        if not folder.exists():
            raise NotFound(
                "no profile has that name",
                subject=name,
                remedy=f"There are: {', '.join(self.names()) or 'none'}",
            )
        return folder

    def use(self, name: str) -> None:
        """Let a profile be the one that is used where nobody names one."""
        self.known(name)
        base = ProfileFolder(self._base)
        if name == DEFAULT:
            base.remove(_CURRENT)
        else:
            base.write(_CURRENT, f"{name}\n".encode())

    def remove(self, name: str, now: datetime) -> Path | None:
        """Remove a profile, but for the signing key that penguinctl made; return where that is."""
        folder = self.known(name)
        kept = self._kept(folder, name, now)
        if self.current() == name:
            ProfileFolder(self._base).remove(_CURRENT)
        # First what makes it a profile, so that an interruption leaves none that is half there.
        folder.remove("profile.toml")
        for entry in list(folder.path.iterdir()):
            if name == DEFAULT and entry.name in (_FOLDER, _KEPT, _CURRENT):
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        if name != DEFAULT:
            folder.path.rmdir()
        return kept

    def _kept(self, folder: ProfileFolder, name: str, now: datetime) -> Path | None:
        home = folder.path / _SIGNING_HOME
        if not home.is_dir():
            return None
        kept = self._base / _KEPT
        if not kept.exists():
            durable.make_private_dir(kept)
        goal = kept / f"{name}-{now.strftime('%Y%m%dT%H%M%SZ')}-{os.getpid()}"
        home.rename(goal)
        return goal
