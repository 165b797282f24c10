"""What the C library does with freed memory: an engine keeps it, a window gives it back."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["give_large_blocks_back", "keep_freed_memory"]

# From glibc's <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_MMAP_MAX = -4
_LARGEST_INT = 2**31 - 1
_LARGE_BYTES = 128 * 1024


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
    return _advise((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, _LARGEST_INT))


def give_large_blocks_back() -> bool:
    """Tell glibc to map blocks of 128 KiB and more singly, for as long as the process lives.

    So it begins, but it puts larger and larger ones among the small ones after each that is freed.
    In a window that draws slides for hours, the decoded tiles of all threads leave holes there,
    which only blocks of their size fill again.

    Returns
    -------
    bool
        As of `keep_freed_memory`.
    """
    return _advise((_M_MMAP_THRESHOLD, _LARGE_BYTES))


def _advise(*advice: tuple[int, int]) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(bool(mallopt(name, value)) for name, value in advice)
