"""Remember between runs what a plugin said while it could see more.

The agent gives each plugin process its folder in PD_VAR_DIR.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from penguindome import json
from penguindome.durable import make_private_dir, read_file, write_file
from penguindome.errors import InvalidInput, NotFound
from penguindome.times import utc_now

DEFAULT_VAR_DIR = "/var/lib/penguin-agent/plugins-var"
_KEY = re.compile(r"[A-Za-z0-9_.:@ +-]{1,128}")


def var_dir() -> str:
    """Return the folder that plugins may write to."""
    return os.environ.get("PD_VAR_DIR") or DEFAULT_VAR_DIR


def cached_data(
    key: str,
    data: Any = None,
    add_timestamp: bool = False,  # noqa: FBT001, FBT002 -- the original's signature
    check_logged_in: bool = False,  # noqa: FBT001, FBT002 -- as above
    raise_exception: bool = True,  # noqa: FBT001, FBT002 -- as above
) -> Any:
    """Store data under a key, or return what was stored.

    Args:
        key: Names the data; no slash.
        data: What to store; it is returned unchanged. None asks for the stored copy.
        add_timestamp: Whether the stored copy gets `cached_at`, so that only stale data has it.
        check_logged_in: Whether data counts as None while nobody is logged in.
        raise_exception: Whether nothing stored is an error instead of None.

    Raises:
        FileNotFoundError: Nothing is stored, and `raise_exception` is set.
    """
    path = Path(var_dir()) / "data_cache" / _file_name(key)
    if data is not None and check_logged_in and not _logged_in():
        data = None
    if data is not None:
        _store(path, data, add_timestamp=add_timestamp)
        return data
    stored = _stored(path)
    if stored is None and raise_exception:
        raise FileNotFoundError(str(path))
    return stored


def _logged_in() -> bool:
    from penguindome.plugin_tools import logged_in  # noqa: PLC0415 -- psutil only where needed

    return logged_in()


def _store(path: Path, data: Any, *, add_timestamp: bool) -> None:
    if add_timestamp:
        data = {**data, "cached_at": utc_now()}
    make_private_dir(path.parent)
    write_file(path, json.dumps(data).encode())


def _stored(path: Path) -> Any:
    """Return the stored copy; None where there is none, or a damaged one."""
    try:
        return json.loads(read_file(path).decode())
    except (NotFound, ValueError):
        return None


def _file_name(key: str) -> str:
    if not _KEY.fullmatch(key) or key.startswith("."):
        raise InvalidInput(f"{key[:40]!r} cannot name cached data", code="bad-cache-key")
    return f"{key}.json"
