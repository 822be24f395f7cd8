"""The environment of a plugin, built from nothing, and the interpreter it finds there."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import penguin_agent
import penguindome
from penguin_agent.collect.limits import SYSTEM_PATH
from penguindome.durable import make_private_dir, write_file

if TYPE_CHECKING:
    from collections.abc import Mapping

ALLOWED = ("PATH", "LANG", "PD_VAR_DIR", "PD_PLUGIN_NAME", "PD_SETTINGS")


def common_environment(*, bin_dir: Path, var_dir: Path, settings: Path | None) -> dict[str, str]:
    """Return what every plugin's environment holds; the runner adds the plugin's name.

    Nothing comes from the agent's own environment: PYTHONPATH, LD_PRELOAD or proxies that somebody
    set for the service reach no plugin.
    """
    return {
        "PATH": f"{bin_dir}:{SYSTEM_PATH}",
        "LANG": "C.UTF-8",
        "PD_VAR_DIR": str(var_dir),
        "PD_SETTINGS": "" if settings is None else str(settings),
    }


def plugin_environment(common: Mapping[str, str], name: str) -> dict[str, str]:
    """Return the exact environment of the plugin `name`: nothing that is not in ALLOWED."""
    every = {**common, "PD_PLUGIN_NAME": name}
    return {key: every[key] for key in ALLOWED if key in every}


def prepare_bin_dir(directory: Path) -> None:
    """Write `python` and `python3` scripts that start the agent's own interpreter.

    A plugin's `#!/usr/bin/env python3` then finds the libraries the agent has, in a virtual
    environment as well. The folder must not be on a noexec mount, as /run is on Debian.
    """
    make_private_dir(directory)
    text = interpreter_script(sys.executable, import_paths()).encode()
    for name in ("python", "python3"):
        path = directory / name
        if not path.is_file() or path.read_bytes() != text:
            write_file(path, text, mode=0o755)


def import_paths() -> tuple[str, ...]:
    """Return the folders that hold our packages."""
    parents = (Path(module.__path__[0]).resolve().parent for module in (penguindome, penguin_agent))
    return tuple(dict.fromkeys(str(parent) for parent in parents))


def interpreter_script(interpreter: str, paths: tuple[str, ...]) -> str:
    """Return a shell script that runs `interpreter` with `paths` to import from.

    -s and -B: no packages out of a home directory, no compiled files beside the plugins. PYTHONPATH
    is put aside for the child alone by `env`, as it is how our packages are found from a checkout.
    """
    where = shlex.quote(":".join(paths))
    return f'#!/bin/sh\nPYTHONPATH={where} exec {shlex.quote(interpreter)} -s -B "$@"\n'
