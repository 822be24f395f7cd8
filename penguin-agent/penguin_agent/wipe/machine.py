"""Change the machine's accounts, end sessions, restart it: through the system's own tools.

Source: usermod(8), userdel(8), shadow(5), shadow 4.13; loginctl(1), systemctl(1), systemd 252;
reboot(2), man-pages 6.03.
"""

from __future__ import annotations

import ctypes
import os
from pathlib import Path
from typing import TYPE_CHECKING

from penguin_agent.parsers.tools import read_text
from penguindome.errors import PenguinDomeError

if TYPE_CHECKING:
    from penguin_agent.parsers.tools import Run
    from penguin_agent.wipe.accounts import Account

_SYSTEMD = Path("/run/systemd/system")
_ELSEWHERE = "it is not in /etc/passwd; lock it where accounts are kept"
_RESTART, _POWER_OFF = 0x01234567, 0x4321FEDC


class Machine:
    """This machine.

    Args:
        run: Runs a tool.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def lock_account(self, account: Account) -> str:
        """Lock an account's password and let the account expire; return why that failed."""
        if not account.local:
            return _ELSEWHERE
        said = self._tool("usermod", "--lock", "--expiredate", "1", "--", account.name)
        return "" if self._is_locked(account.name) else said or "it is not locked"

    def delete_account(self, account: Account) -> str:
        """Delete an account, but no file of its user's; return why that failed."""
        if not account.local:
            return _ELSEWHERE
        said = self._tool("userdel", "--", account.name)
        return (said or "it is still there") if _line("/etc/passwd", account.name) else ""

    def end_sessions(self, account: Account) -> None:
        """Have systemd end whatever it started for a user, where systemd is."""
        if _SYSTEMD.is_dir():
            self._tool("loginctl", "terminate-user", account.name)

    def go_down(self, *, off: bool) -> None:
        """Restart, or switch off; without systemd, or where it refuses, at once."""
        verb = "poweroff" if off else "reboot"
        if _SYSTEMD.is_dir() and not self._tool("systemctl", "--no-block", "-i", verb):
            return
        os.sync()
        ctypes.CDLL(None, use_errno=True).reboot(_POWER_OFF if off else _RESTART)

    def _is_locked(self, name: str) -> bool:
        fields = _line("/etc/shadow", name)
        return len(fields) > 7 and fields[1].startswith("!") and fields[7] == "1"

    def _tool(self, *words: str) -> str:
        """Run a tool; return why it failed, "" when it did not."""
        try:
            answer = self._run(*words)
        except PenguinDomeError as error:
            return error.reason
        return "" if answer.code == 0 else answer.stderr.strip() or f"exit code {answer.code}"


def _line(path: str, name: str) -> list[str]:
    """Return the fields of an account's line."""
    for line in (read_text(Path(path)) or "").splitlines():
        fields = line.split(":")
        if fields[0] == name:
            return fields
    return []
