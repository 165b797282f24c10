"""TileIndex: all tiles and slides of a cohort as one model sees them, memory-mapped for search.

An index folder holds ``index.json`` and the folder of arrays that it names, so that a new index
takes the place of an old one in a single step. Knows numpy and files; no torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.hits import IndexedSlide, SlideHit, TileHit

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

INDEX_FILE = "index.json"
INDEX_FORMAT = 1
_MOST_CLASSES = 12


@dataclass(frozen=True, eq=False)
class TileIndex:
    """All tiles and slides of a cohort as one model sees them.

    Parameters
    ----------
    folder : Path
        Where it was opened.
    model, model_sha256, method : str
        Folder of the model, hash of its weights, its method.
    n_codewords : int
        K; 0 for a method without codewords.
    slides : tuple of IndexedSlide
        In the order of their rows.
    features : ndarray
        (N, d) float32 unit rows, memory-mapped.
    rowcol : ndarray
        (N, 2) int32 row and column on the tile grid of the slide.
    codeword : ndarray
        (N,) int32.
    attention : ndarray
        (N,) float32, as a multiple of the slide's average.
    residual_norm : ndarray
        (N,) float32, distance of each feature from its codeword.
    slide_vectors : ndarray
        (S, D) float32.
    atlas_tiles : ndarray
        (m, 3) float64: row of the index, x, y of the tiles that are drawn on the atlas.
    atlas_slides : ndarray
        (S, 2) float64 x, y.
    atlas_method : str
        ``pca`` or ``umap``.
    tasks : tuple of str
        Label columns that the model has learned.
    """

    folder: Path
    model: str
    model_sha256: str
    method: str
    n_codewords: int
    slides: tuple[IndexedSlide, ...]
    features: NDArray[np.float32]
    rowcol: NDArray[np.int32]
    codeword: NDArray[np.int32]
    attention: NDArray[np.float32]
    residual_norm: NDArray[np.float32]
    slide_vectors: NDArray[np.float32]
    atlas_tiles: NDArray[np.float64]
    atlas_slides: NDArray[np.float64]
    atlas_method: str = "pca"
    tasks: tuple[str, ...] = ()

    @classmethod
    def open(cls, folder: Path) -> TileIndex:
        """Open an index folder; features stay on disk until they are looked at.

        Raises
        ------
        SearchError
            If there is none, or it is damaged or of another version.
        """
        try:
            header = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        except OSError as error:
            raise SearchError(
                f"'{folder}' is no index of a cohort: '{INDEX_FILE}' cannot be read "
                f"({error.strerror}). Make one with 'Make searchable…' or 'dre-slcl index'."
            ) from error
        except ValueError as error:
            raise SearchError(_damaged(folder)) from error
        try:
            return _opened(cls, folder, header)
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise SearchError(_damaged(folder)) from error

    def __len__(self) -> int:
        return len(self.codeword)

    @cached_property
    def first_rows(self) -> NDArray[np.int64]:
        """(S + 1,) first row of each slide, and N."""
        return np.array([*(slide.first_row for slide in self.slides), len(self)], np.int64)

    @cached_property
    def codeword_counts(self) -> NDArray[np.int64]:
        """(S, K) tiles of each codeword in each slide."""
        counts = np.zeros((len(self.slides), self.n_codewords), np.int64)
        if self.n_codewords:
            for number, slide in enumerate(self.slides):
                counts[number] = np.bincount(self.codeword[slide.rows], minlength=self.n_codewords)
        return counts

    @cached_property
    def sorted_attention(self) -> NDArray[np.float32]:
        """(N,) attention of all tiles, the least first."""
        return np.sort(self.attention)

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


_ARRAYS = {
    "features": (np.float32, 2),
    "rowcol": (np.int32, 2),
    "codeword": (np.int32, 1),
    "attention": (np.float32, 1),
    "residual_norm": (np.float32, 1),
    "slide_vectors": (np.float32, 2),
    "atlas_tiles": (np.float64, 2),
    "atlas_slides": (np.float64, 2),
}
_PER_TILE = ("features", "rowcol", "codeword", "attention", "residual_norm")


def _opened(cls: type[TileIndex], folder: Path, header: dict[str, Any]) -> TileIndex:
    if header["format"] != INDEX_FORMAT:
        raise ValueError("unknown format")
    slides = tuple(_slide(folder, fields) for fields in header["slides"])
    data = folder / Path(str(header["data"])).name  # never outside the index
    arrays = {
        name: np.load(data / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS
    }
    n_tiles = sum(slide.n_tiles for slide in slides)
    for name, (dtype, n_axes) in _ARRAYS.items():
        if arrays[name].dtype != dtype or arrays[name].ndim != n_axes:
            raise ValueError(f"{name} is of another kind")
        if name in _PER_TILE and len(arrays[name]) != n_tiles:
            raise ValueError(f"{name} has not one row per tile")
    if len(arrays["slide_vectors"]) != len(slides) or len(arrays["atlas_slides"]) != len(slides):
        raise ValueError("there is not one vector per slide")
    # All but the features is small, and wanted whole.
    small = {name: np.array(array) for name, array in arrays.items() if name != "features"}
    return cls(
        folder=folder,
        model=header["model"],
        model_sha256=header["model_sha256"],
        method=header["method"],
        n_codewords=header["n_codewords"],
        slides=slides,
        atlas_method=header["atlas_method"],
        tasks=tuple(header["tasks"]),
        **arrays | small,
    )


def _slide(folder: Path, fields: dict[str, Any]) -> IndexedSlide:
    shape = tuple(fields["slide_shape"])
    changed = {"slide_shape": shape, "result": folder / fields["result"]}
    return IndexedSlide(**fields | changed)


def _damaged(folder: Path) -> str:
    return f"The index '{folder}' is damaged or of another version. Make it again."
