"""The arrays of an index that have one row per tile, and tiles looked up in them by their place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.index_header import (
    INDEX_FORMAT,
    PER_TILE,
    SHARDS_FOLDER,
    IndexHeader,
    damaged,
    row_shapes,
)
from napari_dre_slcl.insight.rows import MOST_MAPPED, MapPool, ShardRows
from napari_dre_slcl.untrusted import map_npy

__all__ = ["check_counts", "find_rows", "tile_arrays"]


def tile_arrays(folder: Path, header: IndexHeader) -> dict[str, ShardRows[Any]]:
    """Return the arrays of all tiles by name, those of few shards checked.

    Parameters
    ----------
    folder : Path
        Of the index.
    header : IndexHeader
        What it says.

    Raises
    ------
    SearchError
        If a file has gone or is damaged; of very many shards this shows when they are looked at.
    OSError
        If the folder cannot be read.
    """
    shards, counts = _shard_folders(folder, header)
    pool = MapPool()
    widths = row_shapes(header.dim)
    arrays: dict[str, ShardRows[Any]] = {}
    for name, dtype in PER_TILE.items():
        files = [shard / f"{name}.npy" for shard in shards]
        arrays[name] = ShardRows(pool, files, counts, dtype, widths.get(name, ()))
    if len(shards) * len(arrays) <= MOST_MAPPED:
        for rows in arrays.values():
            for number in range(rows.n_shards):
                rows.shard(number)
    else:
        there = {entry.name for entry in (folder / SHARDS_FOLDER).iterdir()}
        if not there.issuperset(shard.name for shard in header.shards):
            raise SearchError(damaged(folder))
    return arrays


def _shard_folders(folder: Path, header: IndexHeader) -> tuple[list[Path], list[int]]:
    """Return folder and number of tiles of each shard; all arrays of format 1 are as one."""
    if header.format == INDEX_FORMAT:
        shards = [folder / SHARDS_FOLDER / shard.name for shard in header.shards]
        _refuse_links(folder, shards)
        return shards, [shard.n_tiles for shard in header.shards]
    _refuse_links(folder, [folder / header.data])
    return [folder / header.data], [sum(slide.n_tiles for slide in header.slides)]


def _refuse_links(folder: Path, shards: list[Path]) -> None:
    """Refuse folders elsewhere: we make no links, and a stranger's may lead anywhere."""
    for shard in shards:
        if shard.is_symlink() or shard.parent.is_symlink():
            raise SearchError(damaged(folder))


def check_counts(data: Path, n_slides: int, n_codewords: int) -> None:
    """Refuse counts of other slides or codewords, or cut short, without reading them.

    Parameters
    ----------
    data : Path
        Folder of the small arrays of an index.
    n_slides, n_codewords : int
        S and K.

    Raises
    ------
    ValueError
        If they are damaged.
    """
    for name in ("codeword_counts", "codeword_nearest"):
        path = data / f"{name}.npy"
        if n_codewords and path.is_file():  # format 1 has none
            shape = map_npy(path).shape
            if shape != (n_slides, n_codewords):
                raise ValueError(f"{name} has the shape {shape}")


def find_rows(
    rowcol: NDArray[np.integer[Any]], first_row: int, asked_for: NDArray[np.integer[Any]]
) -> NDArray[np.int64]:
    """Return the row of the index of each tile of a slide, -1 where it has none.

    Parameters
    ----------
    rowcol : ndarray
        (n, 2) row and column on the grid of the slide's tiles.
    first_row : int
        Of the slide in the index.
    asked_for : ndarray
        (m, 2) row and column of the tiles that are wanted.
    """
    own, wanted = rowcol.astype(np.int64), np.asarray(asked_for, np.int64).reshape(-1, 2)
    if not len(own) or not len(wanted):
        return np.full(len(wanted), -1, np.int64)
    width = int(max(own[:, 1].max(), wanted[:, 1].max())) + 1
    keys, asked = own[:, 0] * width + own[:, 1], wanted[:, 0] * width + wanted[:, 1]
    if np.array_equal(keys, asked):  # the usual case: all tiles of the same result
        return np.arange(first_row, first_row + len(keys), dtype=np.int64)
    is_sorted = bool((keys[1:] > keys[:-1]).all())
    order = np.arange(len(keys)) if is_sorted else np.argsort(keys)
    place = np.minimum(np.searchsorted(keys, asked, sorter=order), len(keys) - 1)
    found = order[place]
    return np.where(keys[found] == asked, found + first_row, -1).astype(np.int64)
