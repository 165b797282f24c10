"""TileIndex: all tiles and slides of a cohort as one model sees them, mapped for search.

What is as long as the tiles stays on disk until it is looked at. Knows numpy and files; no torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.attention_scale import attention_counts
from napari_dre_slcl.insight.hits import IndexedSlide, SlideHit, TileHit
from napari_dre_slcl.insight.index_header import (
    CODES_FOLDER,
    INDEX_FILE,
    INDEX_FORMAT,
    IndexHeader,
    damaged,
    read_header,
)
from napari_dre_slcl.insight.rows import ShardRows
from napari_dre_slcl.insight.tile_arrays import check_counts, find_rows, tile_arrays
from napari_dre_slcl.insight.tile_codes import TileCodes, has_faiss, prove_codes
from napari_dre_slcl.untrusted import map_npy, read_npy

__all__ = [
    "INDEX_FILE",
    "INDEX_FORMAT",
    "IndexedSlide",
    "SlideHit",
    "TileHit",
    "TileIndex",
    "default_index_folder",
    "label_columns",
]

_MOST_CLASSES = 12


@dataclass(frozen=True, eq=False)
class TileIndex:
    """All tiles and slides of a cohort as one model sees them.

    Arrays of tiles lie in shards: they take rows and slices as numpy does, and ``np.asarray`` reads
    all of one. ``blocks`` goes through them in bounded memory.

    Parameters
    ----------
    folder : Path
        Where it was opened.
    header : IndexHeader
        What its ``index.json`` says.
    features : ShardRows
        (N, d) float32 unit rows.
    rowcol : ShardRows
        (N, 2) int32 row and column on the tile grid of the slide.
    codeword : ShardRows
        (N,) int32.
    attention : ShardRows
        (N,) float32, as a multiple of the slide's average.
    residual_norm : ShardRows
        (N,) float32, distance of each feature from its codeword.
    slide_vectors : ndarray
        (S, D) float32, memory-mapped.
    atlas_tiles : ndarray
        (m, 3) float64: row of the index, x, y of the tiles that are drawn on the atlas.
    atlas_slides : ndarray
        (S, 2) float64 x, y.
    """

    folder: Path
    header: IndexHeader
    features: ShardRows[np.float32]
    rowcol: ShardRows[np.int32]
    codeword: ShardRows[np.int32]
    attention: ShardRows[np.float32]
    residual_norm: ShardRows[np.float32]
    slide_vectors: NDArray[np.float32]
    atlas_tiles: NDArray[np.float64]
    atlas_slides: NDArray[np.float64]

    @classmethod
    def open(cls, folder: str | Path) -> TileIndex:
        """Open an index folder; its tiles stay on disk until they are looked at.

        Parameters
        ----------
        folder : str or Path
            As `dre-slcl index` wrote it, such as ``run/index``.

        Raises
        ------
        SearchError
            If there is none, or it is damaged or of another version.
        """
        folder = Path(folder)
        header = read_header(folder)
        try:
            index = _opened(cls, folder, header)
        except (OSError, ValueError, EOFError) as error:
            raise SearchError(damaged(folder)) from error
        return index

    def __len__(self) -> int:
        return len(self.codeword)

    @property
    def slides(self) -> tuple[IndexedSlide, ...]:
        """The slides, in the order of their rows."""
        return self.header.slides

    @property
    def model(self) -> str:
        """Folder of the model."""
        return self.header.model

    @property
    def model_sha256(self) -> str:
        """Hash of the model's weights."""
        return self.header.model_sha256

    @property
    def method(self) -> str:
        """Method of the model."""
        return self.header.method

    @property
    def n_codewords(self) -> int:
        """K; 0 for a method without codewords."""
        return self.header.n_codewords

    @property
    def tasks(self) -> tuple[str, ...]:
        """Label columns that the model has learned."""
        return self.header.tasks

    @property
    def atlas_method(self) -> str:
        """How the atlas was drawn: ``pca`` or ``umap``."""
        return self.header.atlas_method

    @cached_property
    def first_rows(self) -> NDArray[np.int64]:
        """(S + 1,) first row of each slide, and N."""
        return np.array([*(slide.first_row for slide in self.slides), len(self)], np.int64)

    @cached_property
    def codeword_counts(self) -> NDArray[np.int64]:
        """(S, K) tiles of each codeword in each slide."""
        stored = self._small("codeword_counts")
        if stored is not None:
            return stored.astype(np.int64)
        counts = np.zeros((len(self.slides), self.n_codewords), np.int64)
        if self.n_codewords:
            for number, slide in enumerate(self.slides):
                counts[number] = np.bincount(self.codeword[slide.rows], minlength=self.n_codewords)
        return counts

    @cached_property
    def codeword_nearest(self) -> NDArray[np.float32]:
        """(S, K) least distance from each codeword among its tiles of each slide, or infinity."""
        stored = self._small("codeword_nearest")
        if stored is not None:
            return stored
        nearest = np.full((len(self.slides), self.n_codewords), np.inf, np.float32)
        if self.n_codewords:
            for number, slide in enumerate(self.slides):
                rows = slide.rows
                np.minimum.at(nearest[number], self.codeword[rows], self.residual_norm[rows])
        return nearest

    @cached_property
    def attention_counts(self) -> NDArray[np.int64]:
        """Tiles in each bin of attention, as `insight.attention_scale` counts them."""
        stored = self._small("attention_counts")
        return attention_counts(self.attention) if stored is None else stored

    @cached_property
    def sorted_attention(self) -> NDArray[np.float32]:
        """(N,) attention of all tiles, the least first; takes memory for all of them."""
        return np.sort(np.asarray(self.attention))

    @cached_property
    def codes(self) -> TileCodes | None:
        """Compressed codes of the tiles, where there are any and faiss is installed."""
        facts = self.header.codes
        if facts is None or not has_faiss():
            return None
        ends = np.cumsum([shard.n_tiles for shard in self.header.shards])
        first_rows = np.concatenate([[0], ends[:-1]]).astype(np.int64)
        folder = self.folder / CODES_FOLDER / facts.name
        prove_codes(folder)
        return TileCodes(folder, facts, first_rows, len(self))

    def slide_numbers(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return which slide (position in ``slides``) each row belongs to.

        Parameters
        ----------
        rows : ndarray of int, shape (m,)
            Rows of the index.

        Returns
        -------
        ndarray of int64, shape (m,)
        """
        numbers = np.searchsorted(self.first_rows[:-1], rows, side="right") - 1
        # Slides without tiles share their first row with the slide after them.
        return numbers.astype(np.int64)

    def hit(self, row: int, distance: float) -> TileHit:
        """Return a row of the index as a tile that was found.

        Parameters
        ----------
        row : int
            Of the index, from 0.
        distance : float
            What the tile is shown with: 0 is the same, 2 the opposite.
        """
        slide = self.slides[int(self.slide_numbers(np.array([row]))[0])]
        y, x = self.rowcol[row]
        return TileHit(slide, (int(y), int(x)), int(row), float(distance))

    def find_slide(self, slide_id: str, path: str = "") -> IndexedSlide | None:
        """Return the slide with this file or, where its file lies elsewhere by now, this name.

        Parameters
        ----------
        slide_id : str
            Its name in the index.
        path : str, optional
            Its file; empty where only the name is known.
        """
        by_path = (slide for slide in self.slides if path and slide.path == path)
        by_name = (slide for slide in self.slides if slide.slide_id == slide_id)
        by_file = (
            slide for slide in self.slides if path and Path(slide.path).name == Path(path).name
        )
        return next((one for found in (by_path, by_name, by_file) for one in found), None)

    def find_rows(self, slide: IndexedSlide, rowcol: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return the row of the index of each tile of a slide, -1 where it has none.

        Parameters
        ----------
        slide : IndexedSlide
            Of this index.
        rowcol : ndarray
            (m, 2) row and column on its tile grid.

        Returns
        -------
        ndarray of int64, shape (m,)
        """
        return find_rows(self.rowcol[slide.rows], slide.first_row, rowcol)

    def _small(self, name: str) -> NDArray[Any] | None:
        """Return an array that was counted when the index was made; format 1 has none."""
        path = self.folder / self.header.data / f"{name}.npy"
        try:
            return _numbers(read_npy(path)) if path.is_file() else None
        except (OSError, ValueError, EOFError) as error:
            raise SearchError(damaged(self.folder)) from error


def _numbers(array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind not in "iuf":
        raise ValueError("an array holds no numbers")
    return array


def default_index_folder(model: Path) -> Path:
    """Return where the index of a model is kept: in its run, or beside the model."""
    is_model = (model / "model.json").is_file() and not (model / "model").is_dir()
    return (model.parent if is_model else model) / "index"


def label_columns(index: TileIndex) -> tuple[str, ...]:
    """Return label columns with 2 to 12 classes, those that the model has learned first."""
    values: dict[str, set[str]] = {}
    for slide in index.slides:
        for name, value in slide.labels.items():
            values.setdefault(name, set()).add(value)
    usable = [name for name, found in values.items() if 2 <= len(found - {""}) <= _MOST_CLASSES]
    return tuple(sorted(usable, key=lambda name: name not in index.tasks))


def _opened(cls: type[TileIndex], folder: Path, header: IndexHeader) -> TileIndex:
    data, n_slides = folder / header.data, len(header.slides)
    vectors = map_npy(data / "slide_vectors.npy")
    places = read_npy(data / "atlas_slides.npy")
    drawn = read_npy(data / "atlas_tiles.npy")
    for array in (vectors, places, drawn):
        _numbers(array)
    if (
        vectors.ndim != 2
        or len(vectors) != n_slides
        or places.shape != (n_slides, 2)
        or drawn.shape[1:] != (3,)
    ):
        raise ValueError("there is not one vector and one place per slide")
    check_counts(data, n_slides, header.n_codewords)
    tiles = tile_arrays(folder, header)
    return cls(
        folder, header, **tiles, slide_vectors=vectors, atlas_tiles=drawn, atlas_slides=places
    )
