"""Fits compressed codes to a sample of tiles: centroids of lists, and of parts of a feature."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_folder, atomic_writer, write_json
from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.code_recall import QUESTIONS_FILE, SLIDES_FILE, read_questions
from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.index_header import ShardFacts
from napari_dre_slcl.insight.rows import ShardRows
from napari_dre_slcl.insight.tile_codes import (
    FITTED_FILE,
    load_faiss,
    prove_codes,
    read_fitted,
    write_by_faiss,
)

__all__ = ["CodeSizes", "fit_codes", "is_fitted", "is_usable"]

_BITS = 8
_ROUNDS = 10
_SEED = 1234


@dataclass(frozen=True, slots=True)
class CodeSizes:
    """How large codes are, and on what they are fitted.

    Parameters
    ----------
    most_lists : int
        Lists at most; there are as many as the square root of N tiles, rounded down to a power of
        2. More make a search faster, and encoding as much slower.
    per_list : int
        Tiles per list that they are fitted on.
    most_fitted_mib : int
        Memory of these tiles at most.
    numbers_per_byte : int
        Numbers of a feature that one byte of a code stands for, at least.
    most_bytes : int
        Of a code, at most.
    n_questions : int
        Tiles that are looked for to measure what is found.
    """

    most_lists: int = 16_384
    per_list: int = 32
    most_fitted_mib: int = 512
    numbers_per_byte: int = 4
    most_bytes: int = 96
    n_questions: int = 64

    def n_lists(self, n_tiles: int) -> int:
        """Return how many lists so many tiles are sorted into."""
        return min(1 << int(math.log2(max(1.0, n_tiles**0.5))), self.most_lists)

    def n_fitted(self, n_tiles: int, dim: int) -> int:
        """Return how many of so many tiles codes are fitted on."""
        room = self.most_fitted_mib * 2**20 // (4 * dim)
        return int(min(n_tiles, room, max(2**_BITS, self.per_list * self.n_lists(n_tiles))))

    def n_bytes(self, dim: int) -> int:
        """Return the bytes of a code; each stands for as many numbers of a feature."""
        most = max(1, min(dim // self.numbers_per_byte, self.most_bytes))
        return next(size for size in range(most, 0, -1) if dim % size == 0)


def fit_codes(
    folder: Path,
    shards: Sequence[ShardFacts],
    slides: Sequence[IndexedSlide],
    features: ShardRows[np.float32],
    sizes: CodeSizes,
) -> str:
    """Fit codes to a sample of tiles, unless that was done, and draw tiles to measure them by.

    Parameters
    ----------
    folder : Path
        Of all codes of the index.
    shards, slides, features
        As of `write_codes`.
    sizes : CodeSizes
        How large codes are.

    Returns
    -------
    str
        Name of the folder of these codes.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    told = [[shard.name for shard in shards], asdict(sizes)]
    name = sha256(json.dumps(told).encode()).hexdigest()[:20]
    if is_fitted(folder / name):
        return name
    shutil.rmtree(folder / name, ignore_errors=True)
    with atomic_folder(folder / name) as aside:
        rng = np.random.default_rng(_SEED)
        n_questions = min(sizes.n_questions, len(features))
        asked = np.sort(rng.choice(len(features), n_questions, replace=False))
        with atomic_writer(aside / QUESTIONS_FILE) as stream:
            np.save(stream, features[asked], allow_pickle=False)
        ends = np.cumsum([slide.n_tiles for slide in slides])
        of_slide = np.searchsorted(ends, asked, side="right")
        write_json(aside / SLIDES_FILE, [slides[int(number)].slide_id for number in of_slide])
        _fit(aside / FITTED_FILE, features, sizes, rng)
    return name


def _fit(
    path: Path, features: ShardRows[np.float32], sizes: CodeSizes, rng: np.random.Generator
) -> None:
    faiss = load_faiss()
    n_tiles, dim = features.shape
    drawn = rng.choice(n_tiles, sizes.n_fitted(n_tiles, dim), replace=False)
    sample = features[np.sort(drawn)]
    sample = sample[is_usable(sample)]
    n_lists = max(1, min(sizes.n_lists(n_tiles), len(sample) // 4))
    index = faiss.IndexIVFPQ(faiss.IndexFlatL2(dim), dim, n_lists, sizes.n_bytes(dim), _BITS)
    index.use_precomputed_table = -1  # as `read_fitted` says
    for clustering in (index.cp, index.pq.cp):
        clustering.niter, clustering.seed = _ROUNDS, _SEED
        clustering.min_points_per_centroid = 1  # no warning on the terminal
    index.train(sample)
    write_by_faiss(path, partial(faiss.write_index, index))


def is_fitted(folder: Path) -> bool:
    """Return whether codes are there that can be read, with what they are measured by."""
    try:
        prove_codes(folder)
        read_fitted(folder)
        questions, ids = read_questions(folder)
    except (SearchError, OSError, RuntimeError, ValueError, EOFError):
        return False
    return len(questions) == len(ids)


def is_usable(rows: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which rows point somewhere; the others are like nothing."""
    return np.asarray(np.isfinite(rows).all(axis=1) & rows.any(axis=1))
