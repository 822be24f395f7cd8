"""Keep some of the memory that was freed: pieces of recordings and reports follow one another.

The C library hands what is freed at the top of its heap back to the kernel, and takes it anew for
the next message, page by page: a third of a recording's whole cost.
Source: mallopt(3).
"""

from __future__ import annotations

import ctypes

from penguindome.channels import MESSAGE_LIMIT_BYTES

KEPT_BYTES = 16 * 1024 * 1024
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_freed_memory() -> bool:
    """Keep up to 16 MiB; False where the C library knows no such choice."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    kept = mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES)
    return bool(kept and mallopt(_M_MMAP_THRESHOLD, MESSAGE_LIMIT_BYTES))
