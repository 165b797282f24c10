"""Writes one shard of an index, whole or not at all, with one slide in memory at a time."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_folder, atomic_writer, differing, write_sums
from napari_dre_slcl.errors import SearchError
from napari_dre_slcl.insight.index_header import (
    INDEX_FORMAT,
    PER_TILE,
    ShardFacts,
    row_shapes,
)
from napari_dre_slcl.insight.index_part import IndexFacts, IndexPart, IndexSource
from napari_dre_slcl.untrusted import map_npy

__all__ = ["PER_SLIDE", "shard_facts", "write_shard"]

PER_SLIDE = ("slide_vectors", "codeword_counts", "codeword_nearest")
"""Arrays of a shard with one row per slide."""
_NORMED_ROWS = 2**16


def shard_facts(facts: IndexFacts, sources: Sequence[IndexSource]) -> ShardFacts:
    """Return the shard of some slides; its name tells their tiles and the model from all others."""
    content = [[one.slide.slide_id, one.mark, one.slide.n_tiles] for one in sources]
    told = [INDEX_FORMAT, facts.model_sha256, facts.dim, facts.n_codewords, content]
    name = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:20]
    return ShardFacts(name, len(sources), sum(one.slide.n_tiles for one in sources))


def write_shard(
    folder: Path,
    shard: ShardFacts,
    facts: IndexFacts,
    sources: Sequence[IndexSource],
    *,
    is_named: bool = False,
) -> bool:
    """Write a shard, unless it is there and whole.

    Parameters
    ----------
    folder : Path
        Of the shards.
    shard : ShardFacts
        As `shard_facts` gives it.
    facts : IndexFacts
        Of the index.
    sources : sequence of IndexSource
        Its slides.
    is_named : bool, default False
        Whether the header of an index that is there names it. Otherwise a process that was killed
        has left it, and its checksums are compared.

    Returns
    -------
    bool
        Whether it was written.

    Raises
    ------
    OSError
        If it cannot be written.
    SearchError
        If a slide has features of another kind than the others.
    """
    target = folder / shard.name
    if _is_whole(target, shard, facts.dim) and (is_named or _is_as_written(target)):
        return False
    shutil.rmtree(target, ignore_errors=True)
    with atomic_folder(target) as aside:
        _write_arrays(aside, shard, facts, sources)
        write_sums(aside)
    return True


def _is_as_written(folder: Path) -> bool:
    try:
        return not any(differing(folder))
    except OSError:  # of an earlier version, which wrote no checksums
        return False


def _is_whole(folder: Path, shard: ShardFacts, dim: int) -> bool:
    """Return whether a shard is there, with all of its arrays as those who read them want them."""
    rows = dict.fromkeys(PER_TILE, shard.n_tiles) | dict.fromkeys(PER_SLIDE, shard.n_slides)
    widths = row_shapes(dim)
    try:
        for name, n_rows in rows.items():
            array = map_npy(folder / f"{name}.npy")
            is_tiles = name in PER_TILE
            if len(array) != n_rows or (is_tiles and array.dtype != PER_TILE[name]):
                return False
            if is_tiles and array.shape[1:] != widths.get(name, ()):
                return False
    except (OSError, ValueError, EOFError):
        return False
    return True


def _write_arrays(
    folder: Path, shard: ShardFacts, facts: IndexFacts, sources: Sequence[IndexSource]
) -> None:
    kept: dict[str, list[NDArray[Any]]] = {}
    # Written in sequence, not into a map of the file: a full disk would end the process there.
    with atomic_writer(folder / "features.npy") as stream:
        shape = (shard.n_tiles, facts.dim)
        described = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, described)
        for source in sources:
            part = source.read()
            _check(source, part, facts)
            _write_unit_rows(stream, part.features)
            for name, array in _others(part, facts.n_codewords).items():
                kept.setdefault(name, []).append(array)
    for name, arrays in kept.items():
        with atomic_writer(folder / f"{name}.npy") as stream:
            np.save(stream, np.concatenate(arrays), allow_pickle=False)


def _check(source: IndexSource, part: IndexPart, facts: IndexFacts) -> None:
    n_tiles, features = source.slide.n_tiles, part.features
    is_wide = features.shape[1:] == (facts.dim,) or not len(features)
    if not is_wide or not n_tiles == len(part.rowcol) == len(features):
        raise SearchError(
            f"The result of slide '{source.slide.slide_id}' has features of another kind "
            f"than the others: {part.features.shape}. Predict the slide again."
        )


def _write_unit_rows(stream: BinaryIO, features: NDArray[np.floating[Any]]) -> None:
    for first in range(0, len(features), _NORMED_ROWS):
        rows = features[first : first + _NORMED_ROWS]
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        unit = (rows / np.maximum(lengths, 1e-12)).astype("<f4")
        stream.write(np.ascontiguousarray(unit).data)


def _others(part: IndexPart, n_codewords: int) -> dict[str, NDArray[Any]]:
    """Return all arrays of a slide but its features, each with one row per tile or of the slide."""
    nearest = np.full(n_codewords, np.inf, np.float32)
    counts = np.zeros(n_codewords, np.int32)
    if n_codewords:
        np.minimum.at(nearest, part.codeword, part.residual_norm)
        counts[:] = np.bincount(part.codeword, minlength=n_codewords)
    return {
        "rowcol": part.rowcol,
        "codeword": part.codeword,
        "attention": part.attention,
        "residual_norm": part.residual_norm,
        "slide_vectors": part.slide_vector[None],
        "codeword_counts": counts[None],
        "codeword_nearest": nearest[None],
    }
