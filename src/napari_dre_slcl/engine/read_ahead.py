"""Reads the tiles of steps to come while the present one is computed."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.engine.feature_source import FeatureLoader
from napari_dre_slcl.engine.lost_slides import Request
from napari_dre_slcl.tiles import TileLoader

__all__ = ["ReadAhead"]


class ReadAhead:
    """One batch after the other; begins anew after `close`.

    Parameters
    ----------
    loader : TileLoader or FeatureLoader
        Reads.
    """

    def __init__(self, loader: TileLoader | FeatureLoader) -> None:
        self._loader = loader
        self._reading: Generator[NDArray[np.generic], None, None] | None = None

    def next(self, announce: Callable[[], Iterator[list[Request]]]) -> NDArray[np.generic]:
        """Return the tiles of the next batch.

        Parameters
        ----------
        announce : callable
            Returns what to ask of the loader, batch by batch from this one on; it is called where
            the reading begins, here and after `close`.

        Raises
        ------
        SlideError
            If they cannot be read.
        """
        if self._reading is None:
            self._reading = self._loader.prefetch(announce())
        return next(self._reading)

    def close(self) -> None:
        """Stop reading."""
        if self._reading is not None:
            self._reading.close()
        self._reading = None
