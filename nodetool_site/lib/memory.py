"""Keep freed memory from staying with the process (glibc alone)."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_RETURN_FROM_BYTES = 128 * 1024
_ARENAS = 2


def limit_heap() -> None:
    """Give blocks of 128 KiB back to the system when they are freed.

    glibc raises that limit by itself to what was freed last, and keeps an arena for
    each thread: one burst of large batches would stay resident for good.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return
    mallopt(_M_ARENA_MAX, _ARENAS)
    mallopt(_M_MMAP_THRESHOLD, _RETURN_FROM_BYTES)
    mallopt(_M_TRIM_THRESHOLD, _RETURN_FROM_BYTES)
