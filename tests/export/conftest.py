"""A slide on disk and a result of it that was not computed but made up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from napari_dre_slcl.results import SlideResult, TaskPrediction

SLIDE_ID = "TCGA-05-4244-01A"


@pytest.fixture
def slide_path(slide_file: Callable[..., Path]) -> Path:
    """Return a slide of 1024x1536 px at 0.5 µm whose name tells the patient."""
    return slide_file(f"{SLIDE_ID}.tif")


@pytest.fixture
def make_result() -> Callable[..., SlideResult]:
    """Return make(slide_path, grid=(8, 12), tile_px=128): a result with every map there is."""

    def make(
        slide_path: Path | str = "nowhere.tif", grid: tuple[int, int] = (8, 12), tile_px: int = 128
    ) -> SlideResult:
        rng = np.random.default_rng(0)
        is_tile = np.ones(grid, bool)
        is_tile[0] = False
        rowcol = np.argwhere(is_tile)
        n_tiles = len(rowcol)
        attention = rng.random(n_tiles).astype(np.float32)
        prediction = TaskPrediction(
            "subtype", ("LUAD", "LUSC"), (0.4, 0.6), "LUSC", (0.3, 0.5), (0.5, 0.7), 0.9
        )
        return SlideResult(
            slide_id=SLIDE_ID,
            slide_path=str(slide_path),
            slide_shape=(grid[0] * tile_px, grid[1] * tile_px),
            mpp=0.5,
            mpp_source="TIFF resolution",
            tile_size_px=tile_px,
            grid_shape=grid,
            rowcol=rowcol,
            codeword=rng.integers(0, 3, n_tiles),
            attention=attention / attention.sum(),
            residual_norm=rng.random(n_tiles).astype(np.float32),
            n_codewords=3,
            codeword_attention=np.full(3, 1 / 3, np.float32),
            slide_vector=np.zeros(4, np.float32),
            predictions=(prediction,),
            provenance={
                "model": f"/home/jane/{SLIDE_ID}/model",
                "model_sha256": "ab" * 32,
                "method": "dre-slcl",
                "tissue tiles": "84 tiles; left out: 12 background",
                "tissue mask": f"{SLIDE_ID}.mask.png, sha256 00",
            },
            evidence=rng.normal(0, 0.02, (n_tiles, 1)).astype(np.float32),
            evidence_of=(("subtype", "LUSC"),),
            codeword_names=("lymphocytes <&>", "stroma", "codeword 3"),
        )

    return make


@pytest.fixture
def result(make_result: Callable[..., SlideResult], slide_path: Path) -> SlideResult:
    """Return a result of the slide."""
    return make_result(slide_path)
