"""Writes the compressed codes of very many tiles, shard by shard; faiss does the work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.code_recall import NearestOfShard, measure
from napari_dre_slcl.insight.codes_layout import FittedShape, check_fitted
from napari_dre_slcl.insight.fit_codes import CodeSizes, fit_codes, is_fitted, is_usable
from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.index_header import CodesFacts, IndexHeader, ShardFacts
from napari_dre_slcl.insight.rows import ShardRows
from napari_dre_slcl.insight.tile_codes import (
    CODES_SUFFIX,
    FITTED_FILE,
    ROW_BITS,
    TileCodes,
    load_faiss,
    mapped_lists,
    read_fitted,
    shard_number,
    write_by_faiss,
)
from napari_dre_slcl.untrusted import read_npy

__all__ = ["write_codes"]

_BLOCK_ROWS = 2**16


def write_codes(
    folder: Path,
    before: IndexHeader | None,
    shards: Sequence[ShardFacts],
    slides: Sequence[IndexedSlide],
    features: ShardRows[np.float32],
    sizes: CodeSizes,
    on_progress: Callable[[str, int, int], None],
) -> CodesFacts:
    """Write the codes of all shards that have none, and measure what they find.

    Parameters
    ----------
    folder : Path
        Of all codes of the index.
    before : IndexHeader or None
        Of the index that is there: its codes are kept while the tiles are half to twice as many
        as those that they were fitted to.
    shards : sequence of ShardFacts
        In the order of the index.
    slides : sequence of IndexedSlide
        With their first rows.
    features : ShardRows
        (N, d) unit rows.
    sizes : CodeSizes
        How large codes are.
    on_progress : callable
        Told what is done, and how much of how much.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    on_progress("Fitting the codes of tiles", 0, 1)
    name, n_trained = _kept(folder, before, len(features))
    if not name:
        name, n_trained = fit_codes(folder, shards, slides, features, sizes), len(features)
    _delete_damaged(folder, before)
    try:
        facts = _encoded(folder, name, shards, slides, features, on_progress)
    except SearchError:  # codes of before are damaged where only a search tells
        for path in (folder / name).glob(f"*{CODES_SUFFIX}"):
            path.unlink()
        facts = _encoded(folder, name, shards, slides, features, on_progress)
    return replace(facts, n_trained=n_trained)


def _encoded(
    folder: Path,
    name: str,
    shards: Sequence[ShardFacts],
    slides: Sequence[IndexedSlide],
    features: ShardRows[np.float32],
    on_progress: Callable[[str, int, int], None],
) -> CodesFacts:
    """Write what is missing of the codes of a name, and measure what they find."""
    files = _encode(folder / name, shards, slides, features, on_progress)
    on_progress("Measuring the search", 0, 1)
    lengths = tuple((folder / name / file).stat().st_size for file in files)
    facts = CodesFacts(name, files, lengths, 0, 1, 0.0, 0)
    own_rows = {slide.slide_id: slide.rows for slide in slides}
    codes = TileCodes(folder / name, facts, _first_rows(shards), len(features))
    n_probes, recall, n_questions = measure(folder / name, codes, files, features, own_rows)
    return replace(facts, n_probes=n_probes, recall=recall, n_questions=n_questions)


def _first_rows(shards: Sequence[ShardFacts]) -> NDArray[np.int64]:
    sizes = [shard.n_tiles for shard in shards]
    return np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)


def _kept(folder: Path, before: IndexHeader | None, n_tiles: int) -> tuple[str, int]:
    """Return name and tiles of an earlier index's codes, where they still fit."""
    codes = None if before is None else before.codes
    if codes is None or not is_fitted(folder / codes.name):
        return "", 0
    is_near = codes.n_trained / 2 <= n_tiles <= codes.n_trained * 2
    return (codes.name, codes.n_trained) if is_near else ("", 0)


def _delete_damaged(folder: Path, before: IndexHeader | None) -> None:
    """Delete codes that are not as long as the header of an earlier index says."""
    if before is None or before.codes is None:
        return
    for name, size in zip(before.codes.files, before.codes.sizes, strict=True):
        path = folder / before.codes.name / name
        if path.is_file() and path.stat().st_size != size:
            path.unlink()


def _encode(
    folder: Path,
    shards: Sequence[ShardFacts],
    slides: Sequence[IndexedSlide],
    features: ShardRows[np.float32],
    on_progress: Callable[[str, int, int], None],
) -> tuple[str, ...]:
    """Write the codes of each shard that has none; return the file of each."""
    there = list(folder.glob(f"*{CODES_SUFFIX}"))
    shape = check_fitted(folder / FITTED_FILE)
    known = {path.stem.partition("-")[2]: path.name for path in there if _is_readable(path, shape)}
    # Not the number of a file that is damaged: a window may still look at it.
    free = max((shard_number(path.name) for path in there), default=0) + 1
    encoder = _Encoder(folder)
    first = 0
    for number, (shard, start) in enumerate(zip(shards, _first_rows(shards), strict=True)):
        on_progress("Encoding the index", number, len(shards))
        own = slides[first : first + shard.n_slides]
        first += shard.n_slides
        if shard.name in known:
            continue
        rows = [(one.slide_id, slice(one.rows.start - start, one.rows.stop - start)) for one in own]
        known[shard.name] = f"{free:06d}-{shard.name}{CODES_SUFFIX}"
        encoder.write(folder / known[shard.name], features.shard(number), rows)
        free += 1
    return tuple(known[shard.name] for shard in shards)


def _is_readable(path: Path, shape: FittedShape) -> bool:
    """Return whether the codes of a shard, and the notes of what is near, can be read."""
    try:
        read_npy(path.with_suffix(".npy"))
        mapped_lists(path, shape)
    except (OSError, ValueError, EOFError, RuntimeError):  # faiss raises nothing but the last
        return False
    return True


class _Encoder:
    """Turns features into the codes that were fitted."""

    def __init__(self, folder: Path) -> None:
        self._faiss = load_faiss()
        self._folder = folder
        self._index = read_fitted(folder)

    def write(
        self, path: Path, features: NDArray[np.float32], slides: list[tuple[str, slice]]
    ) -> None:
        """Write the codes of one shard; what is nearest to the questions comes first."""
        lists = self._faiss.ArrayInvertedLists(self._index.nlist, self._index.code_size)
        self._index.replace_invlists(lists, False)
        self._index.ntotal = 0
        number = np.int64(shard_number(path.name)) << ROW_BITS
        nearest = NearestOfShard(self._folder, slides)
        for first in range(0, len(features), _BLOCK_ROWS):
            block = np.ascontiguousarray(features[first : first + _BLOCK_ROWS])
            nearest.add(block, first)
            usable = np.flatnonzero(is_usable(block))
            self._index.add_with_ids(block[usable], number + first + usable)
        nearest.write(path.with_suffix(".npy"))
        write_by_faiss(path, partial(self._write_lists, lists))

    def _write_lists(self, lists: Any, name: str) -> None:
        writer = self._faiss.FileIOWriter(name)
        self._faiss.write_InvertedLists(lists, writer)
        del writer  # closes the file
