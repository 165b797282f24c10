"""Writes what sums up the shards of an index: counts, slide vectors and the atlas."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_folder, atomic_writer
from napari_dre_slcl.insight.atlas import atlas_method, atlas_sample, project
from napari_dre_slcl.insight.attention_scale import MOST_SORTED, attention_counts
from napari_dre_slcl.insight.index_header import DATA_PREFIX
from napari_dre_slcl.insight.rows import ShardRows
from napari_dre_slcl.insight.write_shard import PER_SLIDE
from napari_dre_slcl.untrusted import map_npy, read_npy

__all__ = ["write_summary"]


def write_summary(
    folder: Path,
    shards: Sequence[Path],
    n_tiles: int,
    features: ShardRows[np.float32],
    attention: ShardRows[np.float32],
    seed: int,
) -> str:
    """Write the small arrays of an index.

    Parameters
    ----------
    folder : Path
        Of the index.
    shards : sequence of Path
        Folder of each shard.
    n_tiles : int
        N.
    features, attention : ShardRows
        (N, d) and (N,).
    seed : int
        Of the tiles that the atlas draws.

    Returns
    -------
    str
        Name of a new folder in ``folder``.

    Raises
    ------
    OSError
        If they cannot be written.
    """
    target = _free_folder(folder)
    with atomic_folder(target) as aside:
        for name in PER_SLIDE:
            parts = [read_npy(shard / f"{name}.npy") for shard in shards]
            _save(aside / f"{name}.npy", np.concatenate(parts))
        if n_tiles > MOST_SORTED:
            _save(aside / "attention_counts.npy", attention_counts(attention))
        _write_atlas(aside, features, seed)
    return target.name


def _write_atlas(folder: Path, features: ShardRows[np.float32], seed: int) -> None:
    method = atlas_method()
    drawn = atlas_sample(len(features), seed=seed)
    places = project(features[drawn], method, seed)
    _save(folder / "atlas_tiles.npy", np.column_stack([drawn.astype(np.float64), places]))
    vectors = map_npy(folder / "slide_vectors.npy")
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    _save(folder / "atlas_slides.npy", project(vectors / lengths, method, seed))


def _save(path: Path, array: NDArray[Any]) -> None:
    with atomic_writer(path) as stream:
        np.save(stream, array, allow_pickle=False)


def _free_folder(folder: Path) -> Path:
    number = 1
    while (folder / f"{DATA_PREFIX}{number}").exists():
        number += 1
    return folder / f"{DATA_PREFIX}{number}"
