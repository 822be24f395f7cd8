"""What all three programs agree on; also the import path of the plugin API.

Plugins use `penguindome.cached_data`, `penguindome.var_dir`, `penguindome.client`,
`penguindome.json` and `penguindome.plugin_tools`. Importing the package alone loads nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from penguindome.plugin_cache import cached_data

    var_dir: str

__all__ = ["cached_data", "var_dir"]


def __getattr__(name: str) -> Any:
    """Load what plugins ask for when they ask for it."""
    if name in __all__:
        from penguindome import plugin_cache  # noqa: PLC0415 -- the package itself stays cheap

        return plugin_cache.cached_data if name == "cached_data" else plugin_cache.var_dir()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
