"""The operator's profile: what penguinctl keeps on this machine, readable by its owner only.

profile.toml      who we are and where the server is
key.pem           the TLS key; it never leaves this folder
next-key.pem      the next TLS key and the request for its certificate,
request.der       kept until the invitation is redeemed
certificate.pem   the operator certificate
anchor.pem        the server anchor that the invitation carried
trust/            the trust documents that we verified
ledger.json       the ledger's head at the last verification
gnupg/            the signing key's home, if penguinctl made the key
profiles/         further profiles, and current-profile that names the one in use; see profiles.py
"""

from __future__ import annotations

import json
import os
import tomllib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from penguindome import durable
from penguindome.errors import Damaged, PreconditionFailed

_LIMIT_BYTES = 1024 * 1024
_PROFILE = "profile.toml"


@dataclass(frozen=True, slots=True)
class Profile:
    """Who the operator is and where the server is."""

    fleet: str
    operator: str
    host: str
    main_port: int
    bootstrap_port: int
    invitation_id: str
    certificate_starts_unix_ms: int = 0
    certificate_expires_unix_ms: int = 0
    # The OpenPGP key that signs; empty before there is one.
    signing_key: str = ""
    # Its GnuPG home; empty for the operator's own.
    gpg_home: str = ""
    # Whether penguinctl made that home, and so ends the agent that gpg starts in it.
    own_home: bool = False


def default_folder() -> Path:
    """Return where the profile lives. Source: XDG Base Directory Specification 0.8."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    root = Path(base) if base.startswith("/") else Path.home() / ".config"
    return root / "penguinctl"


class ProfileFolder:
    """The folder, with its files checked before they are believed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def create(self) -> None:
        """Make the folder private where it is missing; refuse one that others can read."""
        for parent in reversed([each for each in self.path.parents if not each.exists()]):
            parent.mkdir(mode=0o700, exist_ok=True)
        if not self.path.exists():
            durable.make_private_dir(self.path)
        self._check(self.path, directory=True)

    def exists(self) -> bool:
        """Tell whether an operator was set up here."""
        return (self.path / _PROFILE).exists()

    def load(self) -> Profile:
        """Read who we are.

        Raises:
            PreconditionFailed: Nobody was set up here, or others can read or write it.
            Damaged: The file cannot be understood.
        """
        if not self.exists():
            raise PreconditionFailed(
                "no operator is set up here",
                subject=str(self.path),
                code="not-initialised",
                remedy="Run `penguinctl init` with the invitation that you were given",
            )
        return _profile(self.read(_PROFILE), self.path / _PROFILE)

    def save(self, profile: Profile) -> None:
        """Write who we are."""
        lines = [f"{name} = {_toml(value)}\n" for name, value in asdict(profile).items()]
        self.write(_PROFILE, "".join(lines).encode())

    def has(self, name: str) -> bool:
        """Tell whether a file is there."""
        return (self.path / name).exists()

    def read(self, name: str) -> bytes:
        """Return a private file's content.

        Raises:
            PreconditionFailed: It is missing, or others can read or write it.
        """
        self._check(self.path, directory=True)
        path = self.path / name
        if not path.exists():
            raise PreconditionFailed(
                "a file of the profile is missing",
                subject=str(path),
                remedy="Ask for a new invitation and run `penguinctl init` again",
            )
        self._check(path, directory=False)
        return durable.read_file(path, _LIMIT_BYTES)

    def write(self, name: str, data: bytes) -> None:
        """Write a private file, whole or not at all."""
        path = self.path / name
        if not path.parent.exists():
            durable.make_private_dir(path.parent)
        durable.write_file(path, data, 0o600)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        (self.path / name).unlink(missing_ok=True)

    def _check(self, path: Path, *, directory: bool) -> None:
        mode = 0o700 if directory else 0o600
        durable.check_private(path, owner_uid=os.geteuid(), max_mode=mode, directory=directory)


def _toml(value: str | int | bool) -> str:  # noqa: FBT001 -- a TOML value
    # JSON's strings and booleans are TOML's too, as long as they hold no surrogates or DEL.
    return json.dumps(value, ensure_ascii=False)


def _profile(data: bytes, path: Path) -> Profile:
    try:
        table: dict[str, Any] = tomllib.loads(data.decode())
        known = {field.name for field in fields(Profile)}
        return Profile(**{name: value for name, value in table.items() if name in known})
    except (ValueError, TypeError) as error:
        raise Damaged(
            "the profile cannot be understood",
            subject=str(path),
            code="profile-damaged",
            remedy="Restore it, or ask for a new invitation and run `penguinctl init` again",
        ) from error
