"""Feature files in the place of pixels: as the tiles of a slide, and as a spared first pass."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.cohort.feature_store import FeatureFile, open_features
from napari_dre_slcl.engine.feature_memory import FeatureMemory
from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.tiles import TileSource
from napari_dre_slcl.tiles.loader import TileRequest

__all__ = ["FeatureLoader", "FeatureSource", "Source", "source_name", "tile_count"]


@dataclass(frozen=True, slots=True)
class FeatureSource:
    """A slide that is known by the features of its tiles alone.

    Parameters
    ----------
    file : FeatureFile
        The features.
    slide_path : Path or None
        The slide that they were made from, where it is known; it is never opened.
    """

    file: FeatureFile
    slide_path: Path | None = None

    @classmethod
    def open(cls, path: Path, slide_path: Path | None = None) -> FeatureSource:
        """Look at a feature file; raises `SlideError` where it cannot be used."""
        return cls(open_features(path), slide_path)


Source = TileSource | FeatureSource


def source_name(source: Source) -> str:
    """Return the file name of a slide or of its features, for messages."""
    return source.file.path.name if isinstance(source, FeatureSource) else source.slide.name


def tile_count(source: Source) -> int:
    """Return the number of tiles of a slide."""
    return source.file.n_tiles if isinstance(source, FeatureSource) else len(source.grid)


class FeatureLoader:
    """Reads features of many slides, in the place of a `TileLoader`.

    Parameters
    ----------
    sources : sequence of FeatureSource
        Requests name them by their position.
    cache_mib : int, default 2048
        Whole files are kept until this is full, then the rows that are asked for are read each
        time. 0 keeps none.
    memory : FeatureMemory, optional
        Keeps files in its place, and goes on to do so when the loader is closed.
    """

    def __init__(
        self,
        sources: Sequence[FeatureSource],
        cache_mib: int = 2048,
        memory: FeatureMemory | None = None,
    ) -> None:
        self._sources = tuple(sources)
        self._has_own_memory = memory is None
        self._memory = FeatureMemory(cache_mib) if memory is None else memory
        self._is_closed = False

    def __enter__(self) -> FeatureLoader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    @property
    def sources(self) -> tuple[FeatureSource, ...]:
        """The slides, in the order that requests number them."""
        return self._sources

    @property
    def damaged(self) -> dict[int, tuple[int, ...]]:
        """Nothing: a feature file is read whole or not at all."""
        return {}

    def close(self) -> None:
        """Forget the features, unless the memory is another's."""
        self._is_closed = True
        if self._has_own_memory:
            self._memory.clear()

    def load(self, requests: Sequence[TileRequest]) -> NDArray[np.float32]:
        """Read features.

        Parameters
        ----------
        requests : sequence of (int, ndarray of int64)
            A slide's position among the sources, and numbers of its tiles.

        Returns
        -------
        ndarray of float32, shape (n, dim)
            In the order of the requests.

        Raises
        ------
        SlideError
            If a file cannot be read or has no such tile, or the loader is closed.
        """
        if self._is_closed:
            raise SlideError("The feature loader is closed; make another to read features.")
        return np.concatenate([self._rows(slide, tiles) for slide, tiles in requests])

    def prefetch(
        self, batches: Iterable[Sequence[TileRequest]]
    ) -> Generator[NDArray[np.float32], None, None]:
        """Yield `load(batch)` for each batch, reading the next while the caller computes.

        Raises
        ------
        SlideError
            As `load`, when the batch is due.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="feature-prefetch") as ahead:
            due: Future[NDArray[np.float32]] | None = None
            for batch in batches:
                following = ahead.submit(self.load, batch)
                if due is not None:
                    yield due.result()
                due = following
            if due is not None:
                yield due.result()

    def _rows(self, slide: int, tiles: NDArray[np.int64]) -> NDArray[np.float32]:
        file = self._sources[slide].file
        if len(tiles) and not (min(tiles) >= 0 and max(tiles) < file.n_tiles):
            raise SlideError(
                f"The feature file '{file.path}' has {file.n_tiles} tiles, numbered from 0; tiles "
                f"{min(tiles)} to {max(tiles)} were asked for."
            )
        return self._memory.rows(file, tiles)
