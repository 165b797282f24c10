"""Many threads that take the first look at a level at the same moment, as those of a window do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial

from napari_dre_slcl.slide import Slide

__all__ = ["N_THREADS", "first_looks"]

N_THREADS = 4
SIDE_PX = 64
MOST_TILE_PX = 2**20
"""Of larger stored tiles, a few at once take more memory than a file may."""


class _Threads:
    """Threads that have all begun: what a new one takes would count as taken by a file."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(N_THREADS)
        self._gate = threading.Barrier(N_THREADS)
        self.do(lambda: bytes(2**20))

    def do(self, act: Callable[[], object]) -> None:
        """Let all of them do it at the same moment; raise what the first of them raised."""
        done = [self._pool.submit(self._act, act) for _ in range(N_THREADS)]
        wait(done)
        for one in done:
            one.result()

    def _act(self, act: Callable[[], object]) -> None:
        self._gate.wait()
        act()


_threads = _Threads()


def first_looks(slide: Slide) -> Iterator[Callable[[], None]]:
    """Return what looks at each level; to be done before anything else is read of the slide.

    OpenSlide 4.0.1 ended the process where two threads began to read a cut DICOM level, at one of
    ten to a hundred first looks.
    """
    height, width = slide.info.tile_shape
    if height * width > MOST_TILE_PX:
        return
    for level in range(len(slide.info.level_shapes)):
        yield partial(_threads.do, partial(slide.read_region, 0, 0, SIDE_PX, SIDE_PX, level))
