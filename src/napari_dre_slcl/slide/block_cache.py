"""Decoded blocks of pixels, the least recently used dropped first, bounded by bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.forked import restart_after_fork

__all__ = ["BlockCache", "viewer_cache"]

VIEWER_CACHE_MIB = 512


class BlockCache:
    """Keep what was read last; many threads may ask at once, and a forked child starts empty.

    Parameters
    ----------
    limit_bytes : int
        The sum of the kept arrays never exceeds it; larger arrays pass through unkept.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._gone: deque[Hashable] = deque()
        self.restart_in_child()
        restart_after_fork(self)

    @property
    def limit_bytes(self) -> int:
        """Most bytes that are kept; a smaller value takes effect at once."""
        return self._limit_bytes

    @limit_bytes.setter
    def limit_bytes(self, limit_bytes: int) -> None:
        with self._lock:
            self._limit_bytes = limit_bytes
            self._shrink()
        self._drop_gone()

    def get(
        self, key: Hashable, read: Callable[[], NDArray[np.uint8]], owner: Hashable = None
    ) -> NDArray[np.uint8]:
        """Return the block kept under `key`, or read and keep it.

        Reading happens outside the lock: two threads may read the same block, none waits.

        Parameters
        ----------
        key : hashable
            Of one block of one owner.
        read : callable
            Returns the pixels.
        owner : hashable, optional
            Whose blocks go together; see `drop`.

        Returns
        -------
        ndarray of uint8
            Read-only.
        """
        place = (owner, key)
        with self._lock:
            block = self._blocks.get(place)
            if block is not None:
                self._blocks.move_to_end(place)
        if block is None:
            block = self._keep(place, read())
        self._drop_gone()
        return block

    def drop(self, owner: Hashable) -> None:
        """Forget all blocks of an owner.

        Safe as a finalizer, which may run in the middle of any other call in the same thread:
        it never waits for the lock, and whoever holds it does the work.
        """
        self._gone.append(owner)
        self._drop_gone()

    def restart_in_child(self) -> None:
        """Start empty after a fork; a thread of the parent may have held the lock."""
        self._lock = threading.Lock()
        self._blocks: OrderedDict[Any, NDArray[np.uint8]] = OrderedDict()
        self.used_bytes = 0

    def _keep(self, place: Hashable, block: NDArray[np.uint8]) -> NDArray[np.uint8]:
        block.flags.writeable = False
        with self._lock:
            if place not in self._blocks and block.nbytes <= self._limit_bytes:
                self._blocks[place] = block
                self.used_bytes += block.nbytes
            self._shrink()
        return block

    def _shrink(self) -> None:
        while self.used_bytes > self._limit_bytes:
            self.used_bytes -= self._blocks.popitem(last=False)[1].nbytes

    def _drop_gone(self) -> None:
        while self._gone and self._lock.acquire(blocking=False):
            try:
                owners = set()
                while self._gone:
                    owners.add(self._gone.popleft())
                places = [place for place in list(self._blocks) if place[0] in owners]
                for place in places:
                    self.used_bytes -= self._blocks.pop(place).nbytes
            finally:
                self._lock.release()


_viewer_cache = BlockCache(VIEWER_CACHE_MIB * 2**20)


def viewer_cache() -> BlockCache:
    """Return the cache that all slides of this process share when they are drawn.

    Its `limit_bytes` may be set at any time; 512 MiB by default.
    """
    return _viewer_cache
