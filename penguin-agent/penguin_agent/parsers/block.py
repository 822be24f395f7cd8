"""Tell from sysfs whether a block device keeps its data encrypted.

A device is encrypted when device-mapper says that it is a crypt target, or when all the devices
below it are: this covers LVM over several disks, RAID, caches and partitions of them.
Source: https://docs.kernel.org/admin-guide/abi-stable.html (sysfs-block), cryptsetup 2.7 (DM_UUID).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from penguin_agent.parsers.tools import read_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Encrypted = bool | str  # True, False or "unknown"
# Integrity and verity carry the same prefix, and hide nothing.
_CRYPT = tuple(
    f"CRYPT-{kind}" for kind in ("LUKS1", "LUKS2", "PLAIN", "TCRYPT", "BITLK", "FVAULT2", "LOOPAES")
)
_DEEPEST = 16


def all_of(answers: list[Encrypted]) -> Encrypted:
    """Return False if any part is plain, else unknown if any is, True only if all are encrypted."""
    if False in answers:
        return False
    return True if answers and "unknown" not in answers else "unknown"


class BlockDevices:
    """The block devices below /sys.

    Args:
        root: / but in tests.
        of_file: tells whether a file, by which a loop device is backed, is kept encrypted.
    """

    def __init__(self, root: Path, of_file: Callable[[str], Encrypted]) -> None:
        self._root = root
        self._sys = root / "sys"
        self._of_file = of_file

    def by_number(self, number: str) -> Path | None:
        """Return the sysfs folder of the device `major:minor`."""
        return self._existing(self._sys / "dev/block" / number)

    def by_name(self, name: str) -> Path | None:
        """Return the sysfs folder of a kernel name (sda2), or of a path below /dev."""
        short = name.removeprefix("/dev/")
        if short.startswith("mapper/"):
            return self._mapped(short.removeprefix("mapper/"))
        found = self._existing(self._sys / "class/block" / short.replace("/", "!"))
        return found or self._linked(name)

    def is_encrypted(self, folder: Path | None) -> Encrypted:
        """Return whether everything written to a device is encrypted below."""
        return "unknown" if folder is None else self._walk(folder, 0)

    def is_memory(self, folder: Path | None) -> bool:
        """Return whether a device keeps its data in memory only: ram, or zram without a disk."""
        if folder is None or not folder.name.startswith(("zram", "ram")):
            return False
        return (read_text(folder / "backing_dev") or "none").strip() == "none"

    def is_removable(self, folder: Path | None) -> bool:
        """Return whether the kernel calls the device, or the disk that holds it, removable."""
        if folder is None:
            return False
        disk = folder.parent if (folder / "partition").exists() else folder
        return (read_text(disk / "removable") or "").strip() == "1"

    def _walk(self, folder: Path, depth: int) -> Encrypted:
        if depth > _DEEPEST:
            return "unknown"
        if (read_text(folder / "dm/uuid") or "").startswith(_CRYPT):
            return True
        below = self._below(folder)
        if below:
            return all_of([self._walk(part, depth + 1) for part in below])
        if (folder / "partition").exists() and (folder.parent / "dev").exists():
            return self._walk(folder.parent, depth + 1)
        if file := (read_text(folder / "loop/backing_file") or "").strip():
            return self._of_file(file)
        # A volume of ZFS may be encrypted there; the kernel's own tables do not say.
        return "unknown" if folder.name.startswith("zd") else False

    def _below(self, folder: Path) -> list[Path]:
        try:
            names = sorted(os.listdir(folder / "slaves"))  # noqa: PTH208 -- links into sysfs
        except OSError:
            return []
        return [(folder / "slaves" / name).resolve() for name in names]

    def _mapped(self, name: str) -> Path | None:
        r"""Find a device-mapper device; /dev/mapper writes odd characters as \\xNN."""
        try:
            names = sorted(os.listdir(self._sys / "class/block"))  # noqa: PTH208
        except OSError:
            return None
        for short in names:
            folder = self._sys / "class/block" / short
            told = (read_text(folder / "dm/name") or "").strip()
            if told and told in (name, unmangled(name)):
                return self._existing(folder)
        return None

    def _linked(self, name: str) -> Path | None:
        """Follow a link below /dev, such as /dev/disk/by-uuid/… or /dev/vg/lv."""
        if not name.startswith("/dev/"):
            return None
        target = (self._root / name.removeprefix("/")).resolve()
        return self._existing(self._sys / "class/block" / target.name)

    def _existing(self, path: Path) -> Path | None:
        try:
            return path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return None


def unmangled(name: str) -> str:
    r"""Return a device-mapper name without udev's \\xNN escapes."""
    head, *rest = name.split("\\x")
    parts = [head]
    for piece in rest:
        try:
            parts.append(chr(int(piece[:2], 16)) + piece[2:])
        except ValueError:
            parts.append(f"\\x{piece}")
    return "".join(parts)
