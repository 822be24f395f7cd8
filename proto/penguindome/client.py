"""Give plugins their settings and a logger, under the original's names.

The agent names a JSON file in PD_SETTINGS; without one the defaults apply.
"""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import logbook

_DEFAULTS: dict[str, Any] = {
    "schedule": {"collect_interval": 5, "submit_interval": 1},
    "logging": {"handler": "stderr", "level": "info", "syslog": {"facility": "user"}},
}


def get_setting(setting: str, default: Any = None) -> Any:
    """Return a setting by its colon path, e.g. `schedule:collect_interval`.

    Where the file lacks any step of the path, the built-in default counts, then the caller's.
    """
    names = setting.split(":")
    for tree in (_settings(os.environ.get("PD_SETTINGS", "")), _DEFAULTS):
        found = _walk(tree, names)
        if found is not None:
            return found
    return default


@cache
def get_logger(name: str) -> logbook.Logger:
    """Return the plugin's logger; it writes to stderr, which the agent keeps."""
    from penguindome import logs  # noqa: PLC0415 -- plugins that do not log start faster

    _install_once(str(get_setting("logging:level")))
    return logs.logger(name)


@cache
def _install_once(level: str) -> None:
    """Send the process's records to stderr."""
    from penguindome import logs  # noqa: PLC0415 -- as above

    logs.install(logs.LogSettings(level=level), os.environ.get("PD_PLUGIN_NAME", "plugin"))


@cache
def _settings(path: str) -> Any:
    """Return the file's settings; none where it is missing or damaged."""
    if not path:
        return {}
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}


def _walk(tree: Any, names: list[str]) -> Any:
    for name in names:
        if not isinstance(tree, dict):
            return None
        tree = tree.get(name)
    return tree
