"""Say which homes a wipe erases, and why it does not touch the others.

A home qualifies when it is a real folder beneath one of the folders for homes, reached without any
link, belongs to its user, and lies on a disk of this machine: on the same mount as the folder for
homes, or it is a mount point itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from penguin_agent.parsers.mounts import Mount, holding, parse_mountinfo
from penguin_agent.parsers.tools import read_text
from penguin_agent.wipe.accounts import is_plain
from penguin_agent.wipe.walk import Tally, measure, mount_of, open_home, refuse_root
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from pathlib import Path

    from penguin_agent.wipe.accounts import Account

# Other machines' disks: what is erased there is not this device's.
_REMOTE = ("9p", "afs", "autofs", "ceph", "cifs", "fuse.*", "glusterfs", "lustre", "nfs", "nfs4")
_REMOTE_MORE = ("beegfs", "gpfs", "ncpfs", "smb3", "smbfs", "vboxsf", "virtiofs")


@dataclass(frozen=True, slots=True)
class Home:
    """One home that qualifies.

    Attributes:
        path: As in passwd.
        user: Whose it is.
        device, inode: Which folder it was when it was looked at.
        is_mount: Whether it is a mount point, so that the empty folder stays.
        tally: What is in it.
    """

    path: str
    user: str
    device: int
    inode: int
    is_mount: bool
    tally: Tally


class Homes:
    """Judges the homes beneath a root.

    Args:
        root: `/` but in tests.
        roots: The folders for homes, as in `accounts.parse_home_roots`.
    """

    def __init__(self, root: Path, roots: list[str]) -> None:
        self._root = root
        self._roots = roots
        text = read_text(root / "proc/self/mountinfo") or ""
        self._mounts = parse_mountinfo(text)

    def judge(self, account: Account) -> Home | str:
        """Return an account's home, or why it is not touched."""
        top = self._root_of(account.home)
        if top is None:
            return f"it is not beneath {', '.join(self._roots)}"
        try:
            return self._look(account, top)
        except FileNotFoundError:
            return "it is not there"
        except OSError as error:
            return f"it is no folder, or a link is in its path ({error.strerror})"
        except PenguinDomeError as error:
            return error.reason

    def _root_of(self, home: str) -> str | None:
        fitting = (top for top in self._roots if is_plain(home) and home.startswith(f"{top}/"))
        return max(fitting, key=len, default=None)

    def _look(self, account: Account, top: str) -> Home | str:
        descriptor = open_home(self._root, account.home)
        try:
            found = os.fstat(descriptor)
            refuse_root(found)
            if found.st_uid != account.uid:
                return f"it belongs to uid {found.st_uid}"
            mount = self._mount(account.home)
            if mount is not None and _is_remote(mount):
                return f"its file system is not this machine's ({mount.type})"
            is_mount = self._is_mount(descriptor, account.home)
            if not is_mount and mount_of(descriptor) != self._mount_number(top):
                return f"it is on another mount than {top}, and is no mount point itself"
            return Home(
                account.home,
                account.name,
                found.st_dev,
                found.st_ino,
                is_mount,
                measure(descriptor),
            )
        finally:
            os.close(descriptor)

    def _mount_number(self, path: str) -> int:
        descriptor = open_home(self._root, path)
        try:
            return mount_of(descriptor)
        finally:
            os.close(descriptor)

    def _is_mount(self, descriptor: int, home: str) -> bool:
        return mount_of(descriptor) != self._mount_number(home.rpartition("/")[0])

    def _mount(self, path: str) -> Mount | None:
        return holding(self._mounts, path)


def _is_remote(mount: Mount) -> bool:
    return any(fnmatchcase(mount.type, one) for one in (*_REMOTE, *_REMOTE_MORE))
