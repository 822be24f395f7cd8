"""Read mountinfo and the list of swaps.

Source: proc_pid_mountinfo(5), proc_swaps(5), man-pages 6.9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

# File systems that keep nothing on this machine's disks, and images that are read-only.
_IGNORED_TYPES = (
    *("9p", "afs", "aufs", "autofs", "binfmt_misc", "bpf", "ceph", "cgroup", "cgroup2", "cifs"),
    *("configfs", "debugfs", "devpts", "devtmpfs", "efivarfs", "erofs", "fuse", "fuse.*"),
    *("fusectl", "hugetlbfs", "iso9660", "mqueue", "nfs", "nfs4", "nfsd", "nsfs", "overlay"),
    *("pidfs", "proc", "pstore", "ramfs", "rootfs", "rpc_pipefs", "securityfs", "selinuxfs"),
    *("beegfs", "functionfs", "gpfs", "lustre", "ocfs2_dlmfs", "resctrl", "smackfs", "xenfs"),
    *("smb3", "smbfs", "squashfs", "sysfs", "tmpfs", "tracefs", "udf", "vboxsf", "virtiofs"),
)
# Types whose devices may have a colon in their names as those of other machines have.
_LOCAL_TYPES = ("bcachefs", "ubifs", "zfs")
# Boot loaders read these before any key is there; the rest is removable media.
_IGNORED_PLACES = ("/boot", "/boot/*", "/efi", "/media/*", "/run/media/*")
_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One mounted file system; `number` is major:minor, 0:N for those without a device."""

    number: str
    mountpoint: str
    type: str
    device: str
    options: str = ""

    @property
    def upper(self) -> str:
        """Return the folder that an overlay writes to, as process 1 named it when it mounted."""
        words = dict(word.partition("=")[::2] for word in self.options.split(","))
        return _plain(words.get("upperdir", ""))


@dataclass(frozen=True, slots=True)
class Swap:
    """One swap area; type is partition or file."""

    path: str
    type: str


def parse_mountinfo(text: str) -> list[Mount]:
    """Return the mounts in the order of mounting; lines that are none are passed over."""
    found = []
    for line in text.splitlines():
        before, separator, after = line.partition(" - ")
        left, right = before.split(" "), after.split(" ")
        if separator and len(left) >= 6 and len(right) >= 2:
            names = (_plain(left[4]), _plain(right[0]), _plain(right[1]))
            found.append(Mount(left[2], *names, options=" ".join(right[2:])))
    return found


def parse_swaps(text: str) -> list[Swap]:
    """Return the swaps that are on."""
    lines = (line.split() for line in text.splitlines()[1:])
    return [Swap(_plain(words[0]), words[1]) for words in lines if len(words) >= 2]


def is_local_store(mount: Mount) -> bool:
    """Return whether a mount is one that should be encrypted on this machine."""
    if any(fnmatchcase(mount.type, pattern) for pattern in _IGNORED_TYPES):
        return False
    if mount.mountpoint != "/" and any(
        fnmatchcase(mount.mountpoint, pattern) for pattern in _IGNORED_PLACES
    ):
        return False
    is_loop = mount.number.startswith("7:") and mount.mountpoint != "/"
    remote = mount.type not in _LOCAL_TYPES and (
        mount.device.startswith("//") or ":" in mount.device
    )
    return not is_loop and not remote


def holding(mounts: list[Mount], path: str) -> Mount | None:
    """Return the mount that holds a file: the one with the longest fitting mountpoint."""
    fitting = [
        mount
        for mount in mounts
        if mount.mountpoint == "/" or f"{path}/".startswith(f"{mount.mountpoint}/")
    ]
    # Of two with one mountpoint the later one covers the other.
    return max(reversed(fitting), key=lambda mount: len(mount.mountpoint), default=None)


def _plain(word: str) -> str:
    return _OCTAL.sub(lambda found: chr(int(found[1], 8)), word)
