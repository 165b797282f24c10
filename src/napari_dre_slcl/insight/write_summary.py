"""Writes what sums up the shards of an index: counts, slide vectors and the atlas."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_dre_slcl.insight.atlas import atlas_method, atlas_sample, project
from napari_dre_slcl.insight.attention_scale import MOST_SORTED, attention_counts
from napari_dre_slcl.insight.index_header import DATA_PREFIX
from napari_dre_slcl.insight.rows import ShardRows
from napari_dre_slcl.insight.write_shard import PER_SLIDE

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
    aside = Path(tempfile.mkdtemp(dir=folder, prefix=f".{DATA_PREFIX}"))
    try:
        for name in PER_SLIDE:
            parts = [np.load(shard / f"{name}.npy", allow_pickle=False) for shard in shards]
            np.save(aside / f"{name}.npy", np.concatenate(parts))
        if n_tiles > MOST_SORTED:
            np.save(aside / "attention_counts.npy", attention_counts(attention))
        _write_atlas(aside, features, seed)
        target = _free_folder(folder)
        aside.chmod(0o755)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target.name


def _write_atlas(folder: Path, features: ShardRows[np.float32], seed: int) -> None:
    method = atlas_method()
    drawn = atlas_sample(len(features), seed=seed)
    places = project(features[drawn], method, seed)
    np.save(folder / "atlas_tiles.npy", np.column_stack([drawn.astype(np.float64), places]))
    vectors = np.load(folder / "slide_vectors.npy", mmap_mode="r", allow_pickle=False)
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    np.save(folder / "atlas_slides.npy", project(vectors / lengths, method, seed))


def _free_folder(folder: Path) -> Path:
    number = 1
    while (folder / f"{DATA_PREFIX}{number}").exists():
        number += 1
    return folder / f"{DATA_PREFIX}{number}"
