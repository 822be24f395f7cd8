"""Keep some of the memory that was freed, for what is made again and again.

The C library hands what is freed at the top of its heap back to the kernel, and takes it anew for
the next message, page by page: a third of a recording's whole cost at the server.
Source: mallopt(3).
"""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def keep_freed_memory(kept_bytes: int, largest_bytes: int) -> bool:
    """Keep freed memory from now on; False where the C library knows no such choice.

    Args:
        kept_bytes: How much at most.
        largest_bytes: What is larger than this comes from the kernel each time, and goes back.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(
        mallopt(_M_TRIM_THRESHOLD, kept_bytes) and mallopt(_M_MMAP_THRESHOLD, largest_bytes)
    )
