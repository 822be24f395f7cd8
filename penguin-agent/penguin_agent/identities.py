"""The daemon's way to its identity: whatever needs private keys happens in a child process.

The library for keys and certificates takes 10 MB, and is needed for a second every five days. The
child works on the identity's folder, which survives any crash, and prints one JSON object.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from penguin_agent.collect.child import Job, run_child
from penguin_agent.collect.limits import RunLimits
from penguin_agent.environment import clean_environment, package_folders, restart_command
from penguin_agent.identity import Facts, Identity, read_device, read_file
from penguindome import errors
from penguindome.times import from_iso

if TYPE_CHECKING:
    from pathlib import Path

    from penguin_agent.identity import Device

DEADLINE = timedelta(seconds=90)
_FILES = ("device.json", "key.pem", "certificate.pem")
_NEXT = "certificate.next"


@dataclass(frozen=True, slots=True)
class Polled:
    """Whether the device is in by now, and when to ask again if not."""

    identity: Identity | None
    poll_after: timedelta


class Identities:
    """Looks at, polls for and renews the identity in a folder.

    Args:
        directory: the identity's folder.
        settings: the settings file, for the child; None if there is none.
    """

    def __init__(self, directory: Path, settings: Path | None) -> None:
        self._directory = directory
        self._settings = settings
        self._seen: tuple[bytes | None, ...] = ()
        self.known: Identity | None = None
        self.waiting_fingerprint = ""

    def application(self) -> Device | None:
        """Return the enrollment that is under way; None if there is none."""
        return read_device(self._directory / "enrolling.json")

    def enrolled(self) -> Device | None:
        """Return who this device is, also before a child has looked at the certificate."""
        return read_device(self._directory / _FILES[0])

    async def load(self) -> Identity | None:
        """Return the identity; None if not enrolled. A child looks only at what is new.

        Raises:
            Damaged: The files contradict each other.
            Unavailable: The child did not do its work.
        """
        if self._files() == self._seen and not self._exists(_NEXT):
            return self.known
        if not self._exists("device.json") and not self._exists(_NEXT):
            self.known, self._seen = None, ()
            return None
        return self._take(await self._child("look"))

    async def poll(self) -> Polled:
        """Ask whether the waiting application was approved.

        Raises:
            Forbidden: It was rejected, or the approval is not what operators signed.
        """
        answer = await self._child("poll")
        return Polled(self._take(answer), timedelta(seconds=answer["poll_after_seconds"]))

    async def renew(self) -> Identity | None:
        """Get a certificate for a fresh key; None while an operator has to approve again.

        Raises:
            PenguinDomeError: The server refused, or cannot be reached.
        """
        answer = await self._child("renew")
        return self._take(answer) if answer["facts"] is not None else None

    def _take(self, answer: dict[str, Any]) -> Identity | None:
        """Hold what the child found in memory."""
        device, key, certificate = self._files()
        facts = answer["facts"]
        described = read_device(self._directory / _FILES[0])
        if facts is None or described is None or key is None or certificate is None:
            self.known, self._seen = None, ()
            return None
        dates = from_iso(facts["not_before"]), from_iso(facts["not_after"])
        found = Facts(facts["serial"], *dates, facts["fingerprint"])
        self.known = Identity(described, key, certificate, found)
        self._seen = (device, key, certificate)
        return self.known

    async def _child(self, verb: str) -> dict[str, Any]:
        words = [verb, *([str(self._settings)] if self._settings else [])]
        command = restart_command(words, package_folders(), "penguin_agent.identity_child")
        environment = clean_environment(os.environ)
        job = Job(command, environment, self._directory, RunLimits(), DEADLINE)
        ended = await run_child(job)
        try:
            answer = json.loads(ended.stdout)
        except ValueError:
            last = ended.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
            raise errors.Unavailable(
                f"the work on the key was not done ({ended.cause.name}, {ended.code}: {last})",
                code="key-work-failed",
            ) from None
        self.waiting_fingerprint = answer.get("waiting_fingerprint", "")
        if "error" in answer:
            kind = getattr(errors, answer["error"].pop("kind"))
            raise kind(**answer["error"])
        return dict(answer)

    def _files(self) -> tuple[bytes | None, ...]:
        return tuple(read_file(self._directory / name) for name in _FILES)

    def _exists(self, name: str) -> bool:
        return (self._directory / name).exists()
