"""Trust nothing that the environment says: keep a short list of variables, drop the rest.

Some variables act before Python's first line (LD_PRELOAD, PYTHONPATH, …). Where one of them is set,
the program starts itself once more with a clean environment and an isolated interpreter.
Source: ld.so(8), glibc 2.36; python3(1), option -I.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from penguindome.grpc_environment import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"

_KEPT = frozenset(
    {
        "LANG",
        "LANGUAGE",
        "TERM",
        "COLUMNS",
        "NO_COLOR",
        "HOME",
        "TZ",
        "NOTIFY_SOCKET",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "JOURNAL_STREAM",
        "INVOCATION_ID",
        "SYSTEMD_EXEC_PID",
        "CREDENTIALS_DIRECTORY",
        "PD_FAILPOINT",
    }
)
# What the dynamic linker, the C library, OpenSSL or the interpreter obeys before we can object.
_EARLY_PREFIXES = ("LD_", "PYTHON", "MALLOC_", "GCONV_", "OPENSSL_")
_EARLY_NAMES = frozenset({"GLIBC_TUNABLES", "LOCPATH", "NLSPATH", "SSL_CERT_FILE", "SSL_CERT_DIR"})


def clean_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that are kept, with a fixed PATH."""
    kept = {
        name: value for name, value in environ.items() if name in _KEPT or name.startswith("LC_")
    }
    kept["PATH"] = SYSTEM_PATH
    kept |= SETTINGS
    return kept


def acts_early(environ: Mapping[str, str]) -> bool:
    """Whether a variable is set that has already had its effect on this process."""
    return any(name.startswith(_EARLY_PREFIXES) or name in _EARLY_NAMES for name in environ)


def package_folders() -> tuple[str, ...]:
    """Return the folders that our own packages came from and an isolated Python would miss."""
    import penguindome  # noqa: PLC0415 -- only its place is asked for

    places = (Path(__file__).resolve().parents[1], Path(penguindome.__path__[0]).resolve().parent)
    return tuple(dict.fromkeys(str(place) for place in places))


def restart_command(
    arguments: Sequence[str],
    folders: Sequence[str],
    module: str = "penguin_agent.cli",
    *,
    bare: bool = False,
) -> list[str]:
    """Return the command that runs a module's `main` in a new, isolated interpreter.

    Our folders go last in the search path, so that nothing beside them can stand in for a library.

    Args:
        arguments: The module's.
        folders: Where our own packages are.
        module: Which.
        bare: Whether there are no other libraries than Python's own, which starts sooner.
    """
    code = (
        "import sys; sys.path += [p for p in " + repr(list(folders)) + " if p not in sys.path]; "
        f"from {module} import main; sys.exit(main(sys.argv[1:]))"
    )
    options = ["-I", "-B", *(["-S"] if bare else [])]
    return [sys.executable, *options, "-c", code, *arguments]


def secure(arguments: Sequence[str]) -> None:
    """Clean this process's environment; start the program anew if that comes too late."""
    early = acts_early(os.environ)
    kept = clean_environment(os.environ)
    if early:
        command = restart_command(arguments, package_folders())
        os.execve(command[0], command, kept)  # noqa: S606 -- our own interpreter, no shell
    os.environ.clear()
    os.environ.update(kept)
