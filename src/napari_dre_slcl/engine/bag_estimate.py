"""What reading the bags of frozen features will take, from a probe of the largest slide."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_dre_slcl.config import DreSlclConfig
from napari_dre_slcl.engine.amounts import bytes_text, duration_text
from napari_dre_slcl.engine.disk import free_on_disk
from napari_dre_slcl.engine.encode_source import encode_source
from napari_dre_slcl.engine.estimate import RESULT_BYTES_PER_TILE, bytes_figures
from napari_dre_slcl.engine.feature_source import FeatureSource
from napari_dre_slcl.engine.memory import available_memory
from napari_dre_slcl.engine.prepare import PreparedCohort
from napari_dre_slcl.engine.reporter import Reporter
from napari_dre_slcl.model.feature_adapter import FeatureAdapter
from napari_dre_slcl.model.tile_encoder import TileEncoder

__all__ = ["bag_figures"]

_STAGE = "Pre-flight"
_FIRST, _MOST = 8, 256
_ENOUGH_S = 2.0
_SPLITS = ("train", "val", "test")


def bag_figures(
    config: DreSlclConfig,
    prepared: PreparedCohort,
    encoder: TileEncoder | FeatureAdapter,
    n_copies: int,
    run_dir: Path,
    reporter: Reporter,
) -> dict[str, float]:
    """Probe how fast features come, and say how long all of them take and what they need.

    Parameters
    ----------
    config : DreSlclConfig
        All settings.
    prepared : PreparedCohort
        Slides of all splits.
    encoder : TileEncoder or FeatureAdapter
        On its device.
    n_copies : int
        Augmented copies of each training slide.
    run_dir : Path
        Where the run will be; need not exist.
    reporter : Reporter
        Told all of it, in sentences.

    Returns
    -------
    dict of float
        As `preflight` names it, without ``seconds/epoch``: what the method itself takes, on
        features that are in memory by then, is not known beforehand.

    Raises
    ------
    SlideError
        If no tile can be read.
    """
    tiles = {name: sum(prepared.tile_counts(prepared.rows(name))) for name in _SPLITS}
    per_s = _tiles_per_s(config, prepared, encoder, reporter)
    encoded = tiles["train"] * (1 + n_copies) + tiles["val"] + tiles["test"]
    seconds = encoded / per_s
    memory = {"features": 4 * encoder.dim * tiles["train"] * (1 + n_copies)}
    disk = {"results": RESULT_BYTES_PER_TILE * tiles["test"]}
    room, free = available_memory(), free_on_disk(run_dir)
    reporter.log(
        f"Time to go: about {duration_text(seconds)} for the features of {encoded:,} tiles at "
        f"{per_s:,.0f} a second. The passes over them that follow are not measured beforehand."
    )
    reporter.log(f"Memory: {bytes_text(sum(memory.values()))} of features.")
    return {
        "seconds/total": seconds,
        **bytes_figures(memory, room, disk, free),
        "tiles/train": float(tiles["train"]),
        "slides/train": float(len(prepared.rows("train"))),
    }


def _tiles_per_s(
    config: DreSlclConfig,
    prepared: PreparedCohort,
    encoder: TileEncoder | FeatureAdapter,
    reporter: Reporter,
) -> float:
    """Return how many tiles of the largest training slide become features in a second."""
    reporter.progress(_STAGE, 0, 1, "making features")
    source = prepared.sources[_largest(prepared, prepared.rows("train"))]
    if isinstance(source, FeatureSource):
        begun = time.perf_counter()
        count = len(prepared.memory.read(source.file).features)
        rate = count / max(time.perf_counter() - begun, 1e-6)
    else:
        assert isinstance(encoder, TileEncoder)
        input_px, rate, n = config.encoder.input_px, 0.0, _FIRST
        while n <= min(_MOST, len(source.grid)) or not rate:
            chosen = np.linspace(0, len(source.grid) - 1, min(n, len(source.grid))).astype(np.int64)
            begun = time.perf_counter()
            encode_source(encoder, source, input_px, np.unique(chosen))
            spent = time.perf_counter() - begun
            rate = max(rate, len(np.unique(chosen)) / max(spent, 1e-6))
            if spent > _ENOUGH_S:
                break
            n *= 4
    reporter.progress(_STAGE, 1, 1)
    return rate


def _largest(prepared: PreparedCohort, rows: Sequence[int]) -> int:
    counts = prepared.tile_counts(rows)
    return rows[counts.index(max(counts))]
