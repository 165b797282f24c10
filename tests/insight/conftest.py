"""A tiny index on disk with known answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.insight.write_index import IndexFacts, IndexPart, write_index

COLUMNS = 10


def make_part(folder: Path, name: str, n_tiles: int, n_codewords: int, **fields: Any) -> IndexPart:
    """Return a slide of random tiles; ``fields`` are those of an `IndexedSlide`."""
    rng = np.random.default_rng(len(name) + n_tiles)
    known = {
        "patient_id": f"P-{name}",
        "path": f"/slides/{name}.svs",
        "result": folder / "results" / f"{name}.dreslcl.npz",
        "mpp": 0.5,
        "tile_size_px": 512,
        "slide_shape": (9999, 8888),
    }
    slide = IndexedSlide(slide_id=name, n_tiles=n_tiles, first_row=0, **known | fields)
    grid = np.stack(np.divmod(np.arange(n_tiles), COLUMNS), axis=1).astype(np.int32)
    return IndexPart(
        slide,
        grid,
        rng.integers(0, n_codewords, n_tiles).astype(np.int32),
        rng.exponential(size=n_tiles).astype(np.float32),
        rng.random(n_tiles).astype(np.float32),
        rng.standard_normal(5).astype(np.float32),
    )


@pytest.fixture
def index_of(tmp_path: Path) -> Callable[..., TileIndex]:
    """Return make({"a": 7, "b": 0}, features=..., labels=...): name of each slide, its tiles."""

    def make(
        sizes: dict[str, int],
        dim: int = 6,
        n_codewords: int = 3,
        features: NDArray[np.float32] | None = None,
        slides: dict[str, dict[str, Any]] | None = None,
    ) -> TileIndex:
        folder = tmp_path / "index"
        parts = [
            make_part(folder, name, count, n_codewords, **(slides or {}).get(name, {}))
            for name, count in sizes.items()
        ]
        n_tiles = sum(sizes.values())
        if features is None:
            rng = np.random.default_rng(0)
            features = rng.standard_normal((n_tiles, dim)).astype(np.float32)
        ends = np.cumsum(list(sizes.values()))
        facts = IndexFacts("model", "hash", "dre-slcl", n_codewords, dim, tasks=("subtype",))
        write_index(folder, facts, parts, np.split(features, ends[:-1]))
        return TileIndex.open(folder)

    return make
