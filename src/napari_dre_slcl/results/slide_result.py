"""What a model says of one slide: tile table, slide vector, predictions, provenance."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.tiles.grid import spread

__all__ = ["SlideResult", "TaskPrediction"]

_LEAST_STABILITY = 0.95


@dataclass(frozen=True, slots=True)
class TaskPrediction:
    """Probabilities of one task.

    Parameters
    ----------
    task : str
        Name of the label column that was learned.
    classes : tuple of str
        Class names, in the order of ``probabilities``.
    probabilities : tuple of float
        They add up to 1.
    positive : str or None
        The class whose probability sums up a two-class task; None for more classes.
    low, high : tuple of float
        95 % interval of each probability when as many tiles are drawn again with replacement; empty
        where it was not computed. It says how much the answer hangs on which tissue was seen, not
        how often the model is right.
    stability : float or None
        Share of those draws in which the same class is the most probable one.
    """

    task: str
    classes: tuple[str, ...]
    probabilities: tuple[float, ...]
    positive: str | None = None
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    stability: float | None = None

    @property
    def predicted(self) -> str:
        """The most probable class."""
        return self.classes[int(np.argmax(self.probabilities))]

    def probability(self, name: str) -> float:
        """Return the probability of a class.

        Parameters
        ----------
        name : str
            One of `classes`.

        Returns
        -------
        float
            From 0 to 1.
        """
        return self.probabilities[self.classes.index(name)]

    @property
    def is_uncertain(self) -> bool:
        """Whether the class changes in more than one of twenty draws of tiles: no call is made."""
        return self.stability is not None and self.stability < _LEAST_STABILITY


@dataclass(frozen=True, slots=True, eq=False)
class SlideResult:
    """All that a model says of one slide.

    Parameters
    ----------
    slide_id : str
        Name of the slide in its cohort, or the file's stem.
    slide_path : str
        The file that was read.
    slide_shape : tuple of int
        (height, width) in level-0 pixels.
    mpp : float or None
        Level-0 pixel size in µm.
    mpp_source : str
        Where ``mpp`` came from.
    tile_size_px : int
        Edge of a tile in level-0 pixels; also the pitch of the grid, which starts at (0, 0).
    grid_shape : tuple of int
        (rows, columns) of the tile grid.
    rowcol : ndarray
        (n, 2) int64, row and column of each tile.
    codeword : ndarray
        (n,) int64, 0 to ``n_codewords`` - 1.
    attention : ndarray
        (n,) float32, at least 0, sums to 1 over the slide.
    residual_norm : ndarray
        (n,) float32, distance of each tile's feature from its codeword.
    n_codewords : int
        K.
    codeword_attention : ndarray
        (K,) float32.
    slide_vector : ndarray
        (D,) float32.
    predictions : tuple of TaskPrediction
        One per task.
    provenance : dict of str
        Model folder, hashes, versions, time.
    features : ndarray or None
        (n, d) float32, what the tile encoder made of each tile; None where they were not kept.
    features_key : str
        What the features were made from (slide file, pixel size, reader, encoder); where two keys
        are equal, the same tile has the same feature. Empty without features.
    evidence : ndarray or None
        (n, m) float32, what each tile adds to the log-odds of each column of ``evidence_of``, to
        first order: positive speaks for the class. None where the method gives none.
    evidence_of : tuple of (str, str)
        (task, class) of each of the m columns; a two-class task has its positive class alone.
    report_space : ndarray or None
        (n, t) float16 unit rows, each tile alone as a slide in the space of report vectors; None
        where the model knows no reports or they were not kept.
    report_vector : ndarray or None
        (t,) float32 unit vector, the slide in that space.
    freshness : ndarray or None
        (n,) int64, training steps since the memory bank last saw the tile; None outside training.
    codeword_names : tuple of str
        As the model had them at prediction, one per codeword; empty in results of older versions.
    """

    slide_id: str
    slide_path: str
    slide_shape: tuple[int, int]
    mpp: float | None
    mpp_source: str
    tile_size_px: int
    grid_shape: tuple[int, int]
    rowcol: NDArray[np.int64]
    codeword: NDArray[np.int64]
    attention: NDArray[np.float32]
    residual_norm: NDArray[np.float32]
    n_codewords: int
    codeword_attention: NDArray[np.float32]
    slide_vector: NDArray[np.float32]
    predictions: tuple[TaskPrediction, ...]
    provenance: dict[str, str] = field(default_factory=dict)
    features: NDArray[np.float32] | None = None
    features_key: str = ""
    evidence: NDArray[np.float32] | None = None
    evidence_of: tuple[tuple[str, str], ...] = ()
    report_space: NDArray[np.float16] | None = None
    report_vector: NDArray[np.float32] | None = None
    freshness: NDArray[np.int64] | None = None
    codeword_names: tuple[str, ...] = ()

    @property
    def tile_yx(self) -> NDArray[np.int64]:
        """(n, 2) top-left corners in level-0 pixels."""
        return self.rowcol * self.tile_size_px

    def raster(self, values: NDArray[np.generic], fill: float = 0) -> NDArray[np.generic]:
        """Spread one value per tile over the grid.

        Parameters
        ----------
        values : ndarray
            (n,) values in tile order.
        fill : float
            Value of grid cells without a tile.

        Returns
        -------
        ndarray
            (rows, columns), dtype of ``values``.
        """
        return spread(values, self.rowcol, self.grid_shape, fill)
