"""Decoded blocks of pixels, the least recently used dropped first, bounded by bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable

import numpy as np
from numpy.typing import NDArray

__all__ = ["BlockCache"]


class BlockCache:
    """Keep what was read last; many threads may ask at once.

    Parameters
    ----------
    limit_bytes : int
        The sum of the kept arrays never exceeds it; larger arrays pass through unkept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._blocks: OrderedDict[Hashable, NDArray[np.uint8]] = OrderedDict()
        self._lock = threading.Lock()
        self.used_bytes = 0

    def get(self, key: Hashable, read: Callable[[], NDArray[np.uint8]]) -> NDArray[np.uint8]:
        """Return the block kept under `key`, or read and keep it.

        Reading happens outside the lock: two threads may read the same block, none waits.
        """
        with self._lock:
            if key in self._blocks:
                self._blocks.move_to_end(key)
                return self._blocks[key]
        block = read()
        block.flags.writeable = False
        with self._lock:
            if key not in self._blocks and block.nbytes <= self._limit_bytes:
                self._blocks[key] = block
                self.used_bytes += block.nbytes
            while self.used_bytes > self._limit_bytes:
                self.used_bytes -= self._blocks.popitem(last=False)[1].nbytes
        return block
