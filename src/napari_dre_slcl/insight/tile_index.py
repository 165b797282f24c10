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
    PER_TILE,
    SHARDS_FOLDER,
    IndexHeader,
    damaged,
    read_header,
)
from napari_dre_slcl.insight.rows import MOST_MAPPED, MapPool, ShardRows
from napari_dre_slcl.insight.tile_codes import TileCodes, has_faiss

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
    def open(cls, folder: Path) -> TileIndex:
        """Open an index folder; its tiles stay on disk until they are looked at.

        Raises
        ------
        SearchError
            If there is none, or it is damaged or of another version.
        """
        header = read_header(folder)
        try:
            index = _opened(cls, folder, header)
            _check(index)
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
        return TileCodes(self.folder / CODES_FOLDER / facts.name, facts, first_rows)

    def slide_numbers(self, rows: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return which slide (position in ``slides``) each row belongs to."""
        numbers = np.searchsorted(self.first_rows[:-1], rows, side="right") - 1
        # Slides without tiles share their first row with the slide after them.
        return numbers.astype(np.int64)

    def hit(self, row: int, distance: float) -> TileHit:
        """Return a row of the index as a tile that was found."""
        slide = self.slides[int(self.slide_numbers(np.array([row]))[0])]
        y, x = self.rowcol[row]
        return TileHit(slide, (int(y), int(x)), int(row), float(distance))

    def find_slide(self, slide_id: str, path: str = "") -> IndexedSlide | None:
        """Return the slide with this file or, where its file lies elsewhere by now, this name."""
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
        """
        own = self.rowcol[slide.rows].astype(np.int64)
        if not len(own) or not len(rowcol):
            return np.full(len(rowcol), -1, np.int64)
        wanted = np.asarray(rowcol, np.int64).reshape(-1, 2)
        width = int(max(own[:, 1].max(), wanted[:, 1].max())) + 1
        keys, asked = own[:, 0] * width + own[:, 1], wanted[:, 0] * width + wanted[:, 1]
        if np.array_equal(keys, asked):  # the usual case: all tiles of the same result
            return np.arange(slide.first_row, slide.first_row + len(keys), dtype=np.int64)
        is_sorted = bool((keys[1:] > keys[:-1]).all())
        order = np.arange(len(keys)) if is_sorted else np.argsort(keys)
        place = np.minimum(np.searchsorted(keys, asked, sorter=order), len(keys) - 1)
        found = order[place]
        return np.where(keys[found] == asked, found + slide.first_row, -1).astype(np.int64)

    def _small(self, name: str) -> NDArray[Any] | None:
        """Return an array that was counted when the index was made; format 1 has none."""
        path = self.folder / self.header.data / f"{name}.npy"
        return np.load(path, allow_pickle=False) if path.is_file() else None


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
    shards, counts = _shard_folders(folder, header)
    pool = MapPool()
    widths = {"features": (header.dim,), "rowcol": (2,)}
    tiles: dict[str, ShardRows[Any]] = {
        name: ShardRows(
            pool,
            [shard / f"{name}.npy" for shard in shards],
            counts,
            dtype,
            widths.get(name, ()),
        )
        for name, dtype in PER_TILE.items()
    }
    vectors = np.load(data / "slide_vectors.npy", mmap_mode="r", allow_pickle=False)
    places = np.load(data / "atlas_slides.npy", allow_pickle=False)
    drawn = np.load(data / "atlas_tiles.npy", allow_pickle=False)
    if len(vectors) != n_slides or places.shape != (n_slides, 2) or drawn.shape[1:] != (3,):
        raise ValueError("there is not one vector and one place per slide")
    return cls(
        folder, header, **tiles, slide_vectors=vectors, atlas_tiles=drawn, atlas_slides=places
    )


def _shard_folders(folder: Path, header: IndexHeader) -> tuple[list[Path], list[int]]:
    """Return folder and number of tiles of each shard; all arrays of format 1 are as one."""
    if header.format == INDEX_FORMAT:
        shards = [folder / SHARDS_FOLDER / shard.name for shard in header.shards]
        return shards, [shard.n_tiles for shard in header.shards]
    return [folder / header.data], [sum(slide.n_tiles for slide in header.slides)]


def _check(index: TileIndex) -> None:
    """Map all arrays where they are few, so that damage shows now; of many, see that they exist."""
    kinds = [getattr(index, name) for name in PER_TILE]
    n_shards = index.features.n_shards
    if n_shards * len(kinds) <= MOST_MAPPED:
        for rows in kinds:
            for number in range(n_shards):
                rows.shard(number)
        return
    there = {entry.name for entry in (index.folder / SHARDS_FOLDER).iterdir()}
    if not there.issuperset(shard.name for shard in index.header.shards):
        raise SearchError(damaged(index.folder))
