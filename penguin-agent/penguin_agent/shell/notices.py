"""Tell the people at the device that an operator is on it: journal, terminals, desktops.

The journal and the list of sessions are certain; terminals and desktops are tried, each in a
process of its own with a time limit, and what fails is said in the journal.
Source: wall(1), notify-send(1), pam_systemd(8) for /run/user.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from logbook import Logger

from penguindome.display import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = Logger(__name__)

SECONDS = 5.0
BUSES = Path("/run/user")
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
_TEXT_LIMIT = 400


@dataclass(frozen=True, slots=True)
class Notices:
    """Tells people.

    Attributes:
        desktop: Whether desktops are told.
        wall: Whether terminals are told.
        buses: Where users' session buses are.
        launch: Turns words into those that start a program outside of the agent's own limits.
    """

    desktop: bool
    wall: bool
    buses: Path = BUSES
    launch: Callable[[Sequence[str]], Sequence[str]] = tuple

    async def tell(self, text: str) -> tuple[str, ...]:
        """Tell everybody; returns what could not be told, a sentence each."""
        said = printable(text)[:_TEXT_LIMIT]
        log.warning("{}", said)
        tries = [self._wall(said)] if self.wall else []
        if self.desktop:
            tries += [self._desktop(user, bus, said) for user, bus in self._desktops()]
        troubles = [one for one in await asyncio.gather(*tries) if one]
        for one in troubles:
            log.warning("Somebody could not be told of a session: {}", one)
        return tuple(troubles)

    async def _wall(self, text: str) -> str:
        return await self._run("terminals", ["wall", "--nobanner", f"PenguinDome: {text}"], {})

    async def _desktop(self, user: pwd.struct_passwd, bus: Path, text: str) -> str:
        words = ["notify-send", "--app-name=PenguinDome", "--urgency=critical", "PenguinDome", text]
        if os.geteuid() == 0:
            ids = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--init-groups"]
            words = ["setpriv", *ids, "--", *words]
        extra = {"DBUS_SESSION_BUS_ADDRESS": f"unix:path={bus}", "HOME": user.pw_dir}
        return await self._run(f"{user.pw_name}'s desktop", words, extra)

    def _desktops(self) -> list[tuple[pwd.struct_passwd, Path]]:
        """Return users with a session bus; as somebody else than root only ourselves."""
        found = []
        for bus in sorted(self.buses.glob("*/bus")) if self.buses.is_dir() else []:
            name = bus.parent.name
            if not name.isdecimal() or (os.geteuid() not in (0, int(name))) or int(name) == 0:
                continue
            try:
                found.append((pwd.getpwuid(int(name)), bus))
            except KeyError:
                continue
        return found

    async def _run(self, what: str, words: Sequence[str], extra: dict[str, str]) -> str:
        try:
            process = await asyncio.create_subprocess_exec(
                *self.launch(words),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={**_ENVIRONMENT, **extra},
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            return f"{what}: {error.strerror}"
        try:
            async with asyncio.timeout(SECONDS):
                status = await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
            return f"{what}: no answer within {SECONDS:g} seconds"
        return f"{what}: {words[0]} ended with {status}" if status else ""
