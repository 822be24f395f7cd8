"""List this machine's stores and whether each is encrypted on disk.

Answers come from the kernel's own tables; a tool is asked only about ZFS. What cannot be told is
"unknown", never a guess.
Source: zfsprops(7), zpool-list(8), OpenZFS 2.2; sysfs of btrfs, Linux 6.8.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from penguin_agent.parsers.block import BlockDevices, Encrypted, all_of
from penguin_agent.parsers.mounts import (
    Mount,
    Swap,
    holding,
    is_local_store,
    parse_mountinfo,
    parse_swaps,
)
from penguin_agent.parsers.tools import Run, read_text
from penguindome.errors import NotFound, Unavailable

if TYPE_CHECKING:
    from pathlib import Path

Entry = dict[str, Any]
SWAP_PLACE = "[SWAP]"


# Folders of the system: what is mounted there belongs to it, on whatever disk.
_OWN_PLACES = ("/", "/home", "/opt", "/root", "/srv", "/usr", "/var")


def look(root: Path, run: Run) -> list[Entry] | str | None:
    """Return one entry per store: mountpoint, device, type and encrypted, sorted by mountpoint.

    encrypted: true, false or "unknown". The list of mounts is that of process 1: the agent itself
    may see another one. "unknown" for all when there is no such list; None for a machine that
    stores nothing, as its root is another machine's or in memory.
    """
    text = read_text(root / "proc/1/mountinfo") or read_text(root / "proc/self/mountinfo")
    if text is None:
        return "unknown"
    return _Stores(root, run, parse_mountinfo(text)).entries() or None


class _Stores:
    def __init__(self, root: Path, run: Run, mounts: list[Mount]) -> None:
        self._root = root
        self._run = run
        self._mounts = mounts
        self._blocks = BlockDevices(root, self._of_file)
        self._asked: set[str] = set()

    def entries(self) -> list[Entry]:
        """Return the entries; a device that is mounted more than once counts once."""
        found: dict[str, Entry] = {}
        for mount in sorted(self._mounts, key=lambda mount: (mount.mountpoint, mount.device)):
            if self._counts(mount):
                found.setdefault(self._identity(mount), self._entry(mount))
        entries = list(found.values())
        swaps = parse_swaps(read_text(self._root / "proc/swaps") or "")
        entries += [entry for swap in swaps for entry in self._swap(swap)]
        return sorted(entries, key=lambda entry: (entry["mountpoint"], entry["device"]))

    def _counts(self, mount: Mount) -> bool:
        if mount.type == "overlay":
            return mount.mountpoint == "/" and not self._is_in_memory(mount)
        folder = self._blocks.by_number(mount.number)
        place = "/".join(mount.mountpoint.split("/")[:2])
        if place not in _OWN_PLACES and self._blocks.is_removable(folder):
            return False
        return is_local_store(mount) and not self._blocks.is_memory(folder)

    def _is_in_memory(self, overlay: Mount) -> bool:
        below = holding(self._mounts, overlay.upper) if overlay.upper else None
        return below is not None and below.type in ("tmpfs", "ramfs")

    def _of_file(self, path: str) -> Encrypted:
        """Return the answer of the file system that holds a file; "unknown" if it holds itself."""
        mount = holding(self._mounts, path)
        if mount is None or path in self._asked:
            return "unknown"
        self._asked.add(path)
        try:
            return self._encrypted(mount)
        finally:
            self._asked.discard(path)

    def _identity(self, mount: Mount) -> str:
        if mount.type in ("zfs", "ecryptfs"):
            return f"{mount.type} {mount.device} {mount.mountpoint}"
        return mount.device if mount.number.startswith("0:") else mount.number

    def _entry(self, mount: Mount) -> Entry:
        if mount.type == "ecryptfs":
            return {"mountpoint": mount.mountpoint, "device": mount.device, "encrypted": True}
        return {
            "mountpoint": mount.mountpoint,
            "device": mount.device,
            "type": mount.type,
            "encrypted": self._encrypted(mount),
        }

    def _encrypted(self, mount: Mount) -> Encrypted:
        if mount.type == "btrfs":
            return self._btrfs(mount)
        if mount.type == "zfs":
            return self._zfs(mount.device)
        if mount.type == "bcachefs":
            below = all_of([self._named(device) for device in mount.device.split(":")])
            return below or "unknown"  # it can encrypt by itself, and does not say so here
        if mount.type == "overlay":
            return self._of_file(mount.upper) if mount.upper else "unknown"
        folder = self._blocks.by_number(mount.number)
        return self._named(mount.device) if folder is None else self._blocks.is_encrypted(folder)

    def _named(self, device: str) -> Encrypted:
        return self._blocks.is_encrypted(self._blocks.by_name(device))

    def _btrfs(self, mount: Mount) -> Encrypted:
        """All members count: mountinfo names only one of them, with a number of its own."""
        folder = self._blocks.by_name(mount.device)
        if folder is None:
            return "unknown"
        for members in self._btrfs_members():
            if folder.name in members:
                return all_of([self._named(f"/dev/{member}") for member in members])
        return "unknown"

    def _btrfs_members(self) -> list[list[str]]:
        base = self._root / "sys/fs/btrfs"
        return [sorted(_names(base / name / "devices")) for name in sorted(_names(base))]

    def _zfs(self, dataset: str) -> Encrypted:
        own = self._tool("zfs", "get", "-Hp", "-o", "value", "encryption", dataset)
        if own is None:
            return "unknown"
        if own not in ("off", "-", ""):
            return True
        pool = dataset.split("/", 1)[0]
        listing = self._tool("zpool", "list", "-vHPL", pool)
        devices = [
            word
            for line in (listing or "").splitlines()
            if (word := line.strip().split("\t")[0]).startswith("/")
        ]
        return all_of([self._named(device) for device in devices])

    def _tool(self, *words: str) -> str | None:
        try:
            answer = self._run(*words)
        except (NotFound, Unavailable):
            return None
        return answer.stdout.strip() if answer.code == 0 else None

    def _swap(self, swap: Swap) -> list[Entry]:
        """Return the entry of a swap; one in memory has none unless it writes to a disk too."""
        device = swap.path
        if swap.type == "file":
            encrypted = self._of_file(swap.path)
        elif device.removeprefix("/dev/").startswith("zram"):
            backing = self._zram_backing(device)
            if backing is None:
                return []
            encrypted = self._named(backing)
        else:
            encrypted = self._named(device)
        entry = {"mountpoint": SWAP_PLACE, "device": device, "type": "swap"}
        return [{**entry, "encrypted": encrypted}]

    def _zram_backing(self, device: str) -> str | None:
        folder = self._blocks.by_name(device)
        backing = (read_text(folder / "backing_dev") or "").strip() if folder else ""
        return None if backing in ("", "none") else backing


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 -- sysfs, names are enough
    except OSError:
        return []
