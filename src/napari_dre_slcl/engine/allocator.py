"""Make the C library keep freed memory, so that each training step need not fetch it anew."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["keep_freed_memory"]

# From glibc's <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4
_LARGEST_INT = 2**31 - 1


def keep_freed_memory() -> bool:
    """Tell glibc neither to return freed memory to the system nor to map large blocks singly.

    A training step on the CPU allocates and frees the same large tensors again and again. By
    default each of them is mapped, zeroed by the kernel, and unmapped. The process's memory stays
    at its peak instead; ``benchmarks/allocator.py`` measures what that saves.

    Returns
    -------
    bool
        Whether the C library took the advice; False where it is not glibc.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return bool(mallopt(_M_MMAP_MAX, 0)) and bool(mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))
