"""How a program is started that this daemon's own confinement must not bind.

Where systemd runs, PID 1 starts it in a unit of its own, which ends with all that is in it; else it
is a child in a session of its own. Either way its environment is made from nothing.
Source: systemd-run(1), systemd.service(5), systemd.kill(5), 252; environ(7); env(1), coreutils 9.1.
"""

from __future__ import annotations

import asyncio
import os
import pwd
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penguin_agent.collect.limits import SYSTEM_PATH
from penguindome.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

SYSTEMD = Path("/run/systemd/system")
STOP_SECONDS = 5
_STOP_LIMIT_SECONDS = 20.0
# Should this daemon not live to end it.
_SPARE_SECONDS = 60
# A script is handed over as standard input, since that is what crosses over to PID 1.
_TAKE_SCRIPT = 'exec 3<&0 </dev/null; exec "$@"'
_TAKEN = "/proc/self/fd/3"


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a program runs as."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str

    @property
    def folder(self) -> str:
        """Return where its programs begin: its home, or the root folder."""
        return self.home if Path(self.home).is_dir() else "/"


@dataclass(frozen=True, slots=True)
class Launch:
    """What is started.

    Attributes:
        unit: The unit's name without its ending.
        description: For people; plain words.
        argv: The program and its arguments; with a script only the script's arguments.
        environment: All of it.
        account: Whom it runs as.
        longest_seconds: How long it may run.
        script: A descriptor of the script to run, or of a program in memory; None without one.
    """

    unit: str
    description: str
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    account: Account
    longest_seconds: int
    script: int | None = None


def has_systemd(mark: Path = SYSTEMD) -> bool:
    """Tell whether systemd is what runs this machine. Source: sd_booted(3)."""
    return mark.is_dir()


def starts_units() -> bool:
    """Tell whether programs are handed to systemd, which takes them from root alone."""
    return os.geteuid() == 0 and has_systemd()


def own_name() -> str:
    """Return the account that this agent runs as; may ask the network, so not in the loop."""
    uid = os.geteuid()
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def check_may_become(account: Account) -> None:
    """Refuse an account that this agent cannot run programs as.

    Raises:
        Forbidden: `not-root`: the agent is not root, and this is not its own account.
    """
    if os.geteuid() in (0, account.uid):
        return
    name = own_name()
    raise Forbidden(
        f"the agent of this device is not root, and cannot run anything as {account.name}",
        code="not-root",
        remedy=f"Run the agent as root, or give --user {name}",
    )


def account_of(name: str) -> Account:
    """Return a user of this machine; may ask the network, so not in the loop.

    Raises:
        NotFound: There is no such user.
    """
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise NotFound(
            "there is no such user on this device", code="no-such-user", subject=name
        ) from None
    groups = tuple(os.getgrouplist(found.pw_name, found.pw_gid))
    shell = found.pw_shell or "/bin/sh"
    return Account(found.pw_name, found.pw_uid, found.pw_gid, groups, found.pw_dir, shell)


def base_environment(account: Account) -> dict[str, str]:
    """Return what every program's environment holds."""
    return {
        "PATH": SYSTEM_PATH,
        "HOME": account.home,
        "USER": account.name,
        "LOGNAME": account.name,
        "SHELL": account.shell,
        "LANG": "C.UTF-8",
    }


def unit_words(launch: Launch) -> tuple[str, ...]:
    """Return the systemd-run command line that starts a program in a unit of its own."""
    environment = [f"{name}={value}" for name, value in launch.environment.items()]
    if launch.script is None:
        # env takes a program with = in its name for a variable; nice does not.
        guard = ["/usr/bin/nice", "-n", "0"] if "=" in launch.argv[0] else []
        command = ["/usr/bin/env", "-i", *environment, *guard, *launch.argv]
    else:
        command = ["/bin/sh", "-c", _TAKE_SCRIPT, "sh", "/usr/bin/env", "-i", *environment]
        command += [_TAKEN, *launch.argv]
    account = launch.account
    return (
        "systemd-run",
        "--quiet",
        "--collect",
        "--wait",
        "--pipe",
        "--no-ask-password",
        "--service-type=exec",
        f"--unit={launch.unit}",
        f"--description={launch.description}",
        f"--working-directory={account.folder}",
        *([f"--uid={account.name}"] if account.uid else []),
        "--property=KillMode=control-group",
        f"--property=TimeoutStopSec={STOP_SECONDS}",
        f"--property=RuntimeMaxSec={launch.longest_seconds + _SPARE_SECONDS}",
        "--",
        # PID 1 replaces ${NAME} and $NAME in what it runs, and $$ by $.
        *(word.replace("$", "$$") for word in command),
    )


async def stop_unit(unit: str) -> None:
    """End a unit and all that runs in it; one that is not there is ended."""
    try:
        process = await asyncio.create_subprocess_exec(
            "systemctl",
            "--quiet",
            "stop",
            f"{unit}.service",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            env={"PATH": SYSTEM_PATH, "LANG": "C.UTF-8"},
            cwd="/",
        )
    except OSError:
        return
    try:
        async with asyncio.timeout(_STOP_LIMIT_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
