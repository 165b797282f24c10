"""Batches of tiles from many slides, read ahead, kept in memory up to a bound."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import DamagedSlideError, SlideError
from napari_dre_slcl.slide import Slide
from napari_dre_slcl.tiles.grid import TileGrid

__all__ = ["TileLoader", "TileRequest", "TileSource"]

TileRequest = tuple[int, NDArray[np.int64]]

TILES_PER_READ = 16
WHITE = 255


@dataclass(frozen=True, slots=True)
class TileSource:
    """A slide and the grid of its tissue tiles.

    Parameters
    ----------
    slide : Slide
        Open while tiles are read.
    grid : TileGrid
        Of that slide.
    """

    slide: Slide
    grid: TileGrid


class TileLoader:
    """Reads tiles of many slides at the encoder's input size.

    The same request always gives the same pixels, from the file or from memory. A tile that
    cannot be decoded is white and is counted in `damaged`.

    Parameters
    ----------
    readers : sequence of TileSource
        Requests name them by their position. They stay the caller's to close.
    input_px : int
        Edge of the tiles that are returned; whatever a grid's tile covers is shrunk to it.
    cache_mib : int, default 2048
        Decoded tiles are kept until this is full, then the others are read each time. 0 keeps none.
    workers : int, default 2
        Reading threads.
    """

    def __init__(
        self,
        readers: Sequence[TileSource],
        input_px: int,
        cache_mib: int = 2048,
        workers: int = 2,
    ) -> None:
        self._readers = tuple(readers)
        self._input_px = input_px
        self._room = cache_mib * 2**20 // (input_px * input_px * 3)
        self._kept: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._damaged: set[tuple[int, int]] = set()
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="tile-loader")
        self._is_closed = False

    def __enter__(self) -> TileLoader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def cached_tiles(self) -> int:
        """How many decoded tiles are kept."""
        return len(self._kept)

    @property
    def sources(self) -> tuple[TileSource, ...]:
        """The slides and grids, in the order that requests number them."""
        return self._readers

    @property
    def damaged(self) -> dict[int, tuple[int, ...]]:
        """Tiles read so far that cannot be decoded: slide's position -> indices into its grid."""
        with self._lock:
            keys = sorted(self._damaged)
        return {
            index: tuple(tile for _, tile in of_slide)
            for index, of_slide in groupby(keys, key=itemgetter(0))
        }

    def close(self) -> None:
        """Stop the threads and forget the tiles."""
        self._is_closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)
        with self._lock:
            self._kept.clear()

    def load(self, requests: Sequence[TileRequest]) -> NDArray[np.uint8]:
        """Read tiles.

        Parameters
        ----------
        requests : sequence of (int, ndarray of int64)
            A slide's position among the readers, and indices into its grid's `rowcol`.

        Returns
        -------
        ndarray of uint8, shape (n, input_px, input_px, 3)
            In the order of the requests.

        Raises
        ------
        SlideError
            If a slide is closed or cannot be read, has no such tile, or the loader is closed.
        """
        return self._load(requests, threading.Event())

    def prefetch(
        self, batches: Iterable[Sequence[TileRequest]]
    ) -> Generator[NDArray[np.uint8], None, None]:
        """Yield `load(batch)` for each batch, reading the next while the caller computes.

        Closing the iterator stops the reading within a few tiles.

        Parameters
        ----------
        batches : iterable of requests
            As `load` takes them; one is taken ahead.

        Yields
        ------
        ndarray of uint8, shape (n, input_px, input_px, 3)

        Raises
        ------
        SlideError
            As `load`, when the batch is due.
        """
        is_stopped = threading.Event()
        with ThreadPoolExecutor(1, thread_name_prefix="tile-prefetch") as ahead:
            try:
                due: Future[NDArray[np.uint8]] | None = None
                for batch in batches:
                    following = ahead.submit(self._load, batch, is_stopped)
                    if due is not None:
                        yield due.result()
                    due = following
                if due is not None:
                    yield due.result()
            finally:
                is_stopped.set()

    def _load(
        self, requests: Sequence[TileRequest], is_stopped: threading.Event
    ) -> NDArray[np.uint8]:
        if self._is_closed:
            raise SlideError("The tile loader is closed; make another to read tiles.")
        keys = [key for request in requests for key in self._keys(request)]
        tiles = np.empty((len(keys), self._input_px, self._input_px, 3), np.uint8)
        missing: dict[tuple[int, int], list[int]] = {}
        with self._lock:
            for place, key in enumerate(keys):
                if key in self._kept:
                    tiles[place] = self._kept[key]
                else:
                    missing.setdefault(key, []).append(place)
        reads = [
            self._pool.submit(self._read, chunk, missing, tiles, is_stopped)
            for chunk in _chunks(sorted(missing))
        ]
        try:
            for read in reads:
                read.result()
        finally:
            for read in reads:
                read.cancel()
        return tiles

    def _keys(self, request: TileRequest) -> list[tuple[int, int]]:
        index, chosen = request
        grid = self._readers[index].grid
        if len(chosen) and not (min(chosen) >= 0 and max(chosen) < len(grid)):
            raise SlideError(
                f"Slide '{self._readers[index].slide.name}' has {len(grid)} tiles, numbered from "
                f"0; tiles {min(chosen)} to {max(chosen)} were asked for."
            )
        return [(index, int(tile)) for tile in chosen]

    def _read(
        self,
        chunk: list[tuple[int, int]],
        missing: dict[tuple[int, int], list[int]],
        tiles: NDArray[np.uint8],
        is_stopped: threading.Event,
    ) -> None:
        """Read tiles of one slide, put each where it was asked for, and keep what fits."""
        if is_stopped.is_set():
            return
        pixels = self._read_what_can_be(chunk)
        for key, tile in zip(chunk, pixels, strict=True):
            tiles[missing[key]] = tile
        with self._lock:
            for key, tile in zip(chunk, pixels, strict=True):
                if len(self._kept) < self._room:
                    self._kept.setdefault(key, tile.copy())

    def _read_what_can_be(self, chunk: list[tuple[int, int]]) -> NDArray[np.uint8]:
        """Read tiles of one slide; where that fails, each alone, so that the sound ones stay."""
        source = self._readers[chunk[0][0]]
        try:
            return source.slide.read_tiles(
                source.grid.yx[[tile for _, tile in chunk]],
                self._input_px,
                source.grid.size_px / self._input_px,
                n_threads=1,
            )
        except DamagedSlideError:
            if len(chunk) > 1:
                return np.concatenate([self._read_what_can_be([key]) for key in chunk])
        with self._lock:
            self._damaged.update(chunk)
        return np.full((1, self._input_px, self._input_px, 3), WHITE, np.uint8)


def _chunks(keys: list[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Cut sorted (slide, tile) keys into reads of one slide each."""
    chunk: list[tuple[int, int]] = []
    for key in keys:
        if chunk and (key[0] != chunk[0][0] or len(chunk) == TILES_PER_READ):
            yield chunk
            chunk = []
        chunk.append(key)
    if chunk:
        yield chunk
