"""Find the LUKS volumes of this machine's disks, count their key slots, and erase them.

Without its key slots nobody opens a volume again, whatever passphrase he has, unless somebody kept
a copy of its header.
Source: cryptsetup-erase(8), cryptsetup-luksDump(8), cryptsetup 2.6; LUKS On-Disk Format 1.2.3.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from penguin_agent.parsers.tools import read_text
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from pathlib import Path

    from penguin_agent.parsers.tools import Run

_SLOT_1 = re.compile(r"^Key Slot [0-9]+: ENABLED\s*$", re.MULTILINE)
_SLOT_2 = re.compile(r"^  [0-9]+: \S", re.MULTILINE)
_SECTION = re.compile(r"^Keyslots:\s*$(.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
_VERSION = re.compile(r"^Version:\s+([12])\s*$", re.MULTILINE)
_UUID = re.compile(r"^UUID:\s+([0-9a-fA-F-]{1,64})\s*$", re.MULTILINE)
# Loop devices are files of somebody's; the others hold nothing that lasts, or none of ours.
_PASSED_OVER = ("fd", "loop", "nbd", "ram", "sr", "zram")
_ERASE_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Volume:
    """One LUKS volume; `slots` is how many keys open it."""

    device: str
    uuid: str
    version: int
    slots: int


def parse_dump(text: str, device: str) -> Volume | None:
    """Return what `cryptsetup luksDump` says; None where it says nothing of the kind."""
    version = _VERSION.search(text)
    uuid = _UUID.search(text)
    if version is None or uuid is None:
        return None
    if version[1] == "1":
        return Volume(device, uuid[1], 1, len(_SLOT_1.findall(text)))
    section = _SECTION.search(text)
    # A form that is not known must not look like one without keys.
    if section is None:
        return None
    return Volume(device, uuid[1], 2, len(_SLOT_2.findall(section[1])))


class Volumes:
    """The volumes beneath a root.

    Args:
        root: `/` but in tests.
        run: Runs cryptsetup.
    """

    def __init__(self, root: Path, run: Run) -> None:
        self._root = root
        self._run = run

    def find(self) -> tuple[list[Volume], list[tuple[str, str]]]:
        """Return the volumes, and (device, reason) of what is passed over, sorted by device."""
        found: list[Volume] = []
        skipped: list[tuple[str, str]] = []
        for name in self._names():
            folder = self._root / "sys/class/block" / name
            device = f"/dev/{name.replace('!', '/')}"
            if name.startswith(_PASSED_OVER) or self._belongs_to_another(folder):
                continue
            try:
                volume = self._volume(device)
            except PenguinDomeError as error:
                if self._holders(folder):
                    skipped.append((device, error.reason))
                continue
            if volume is None and self._holders(folder):
                skipped.append((device, "it is encrypted, but has no LUKS header of its own"))
            elif volume is not None and self._is_removable(folder):
                skipped.append((device, "it can be taken out of the machine"))
            elif volume is not None:
                found.append(volume)
        return found, skipped

    def erase(self, volume: Volume) -> str:
        """Erase a volume's key slots; return why that failed, "" when none is left."""
        now = self._volume(volume.device)
        if now is None or now.uuid != volume.uuid:
            return "another volume is there now"
        path = str(self._root / volume.device.lstrip("/"))
        words = ("cryptsetup", "erase", "--batch-mode", path)
        answer = self._run(*words, timeout_seconds=_ERASE_SECONDS)
        after = self._volume(volume.device)
        if after is None:
            return "cryptsetup does not tell whether its keys are gone"
        if after.slots:
            return f"{after.slots} of its keys are left: {answer.stderr.strip()[:200]}"
        return ""

    def _volume(self, device: str) -> Volume | None:
        path = str(self._root / device.lstrip("/"))
        if self._run("cryptsetup", "isLuks", path).code:
            return None
        return parse_dump(self._run("cryptsetup", "luksDump", path).stdout, device)

    def _names(self) -> list[str]:
        try:
            return sorted(os.listdir(self._root / "sys/class/block"))  # noqa: PTH208 -- names
        except OSError:
            return []

    def _holders(self, folder: Path) -> list[str]:
        """Return the device-mapper identifiers of encrypted devices that stand on this one."""
        return [uuid for uuid in self._above(folder) if uuid.startswith("CRYPT-")]

    def _belongs_to_another(self, folder: Path) -> bool:
        """Tell whether a mirror or the like holds the device: the header is then that one's."""
        above = self._above(folder)
        return bool(above) and not any(uuid.startswith("CRYPT-") for uuid in above)

    def _above(self, folder: Path) -> list[str]:
        try:
            names = sorted(os.listdir(folder / "holders"))  # noqa: PTH208 -- links into sysfs
        except OSError:
            return []
        return [read_text(folder / "holders" / name / "dm/uuid") or "" for name in names]

    def _is_removable(self, folder: Path) -> bool:
        real = folder.resolve()
        disk = real.parent if (real / "partition").exists() else real
        return "/usb" in str(real) or (read_text(disk / "removable") or "").strip() == "1"
