"""A tiny index on disk with known answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_dre_slcl.insight.hits import IndexedSlide
from napari_dre_slcl.insight.index_part import IndexFacts, IndexPart, IndexSource
from napari_dre_slcl.insight.tile_index import TileIndex
from napari_dre_slcl.insight.write_index import IndexOptions, write_index

COLUMNS = 10


def make_source(
    folder: Path, name: str, features: NDArray[np.float32], n_codewords: int, **fields: Any
) -> IndexSource:
    """Return a slide of random tiles; ``fields`` are those of an `IndexedSlide`."""
    n_tiles = len(features)
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
    part = IndexPart(
        np.stack(np.divmod(np.arange(n_tiles), COLUMNS), axis=1).astype(np.int32),
        rng.integers(0, n_codewords, n_tiles).astype(np.int32),
        rng.exponential(size=n_tiles).astype(np.float32),
        rng.random(n_tiles).astype(np.float32),
        rng.standard_normal(5).astype(np.float32),
        features,
    )
    return IndexSource(slide, str(features.tobytes()), lambda: part)


@pytest.fixture
def sources_of(tmp_path: Path) -> Callable[..., list[IndexSource]]:
    """Return make({"a": 7, "b": 0}, features=..., slides=...): name of each slide, its tiles."""

    def make(
        sizes: dict[str, int],
        dim: int = 6,
        n_codewords: int = 3,
        features: NDArray[np.float32] | None = None,
        slides: dict[str, dict[str, Any]] | None = None,
    ) -> list[IndexSource]:
        if features is None:
            rng = np.random.default_rng(0)
            features = rng.standard_normal((sum(sizes.values()), dim)).astype(np.float32)
        parts = np.split(features, np.cumsum(list(sizes.values()))[:-1])
        return [
            make_source(tmp_path / "index", name, own, n_codewords, **(slides or {}).get(name, {}))
            for name, own in zip(sizes, parts, strict=True)
        ]

    return make


@pytest.fixture
def index_of(
    tmp_path: Path, sources_of: Callable[..., list[IndexSource]]
) -> Callable[..., TileIndex]:
    """Return make(sizes, ..., options=...): an index of such slides, written and opened."""

    def make(
        sizes: dict[str, int], *, options: IndexOptions | None = None, **fields: Any
    ) -> TileIndex:
        folder = tmp_path / "index"
        facts = IndexFacts(
            "model",
            "hash",
            "dre-slcl",
            fields.get("n_codewords", 3),
            fields.get("dim", 6),
            tasks=("subtype",),
        )
        write_index(folder, facts, sources_of(sizes, **fields), options)
        return TileIndex.open(folder)

    return make


@pytest.fixture
def broken_source() -> Callable[[IndexSource], IndexSource]:
    """Return one that cannot be read, as on a full disk."""

    def make(source: IndexSource) -> IndexSource:
        def read() -> IndexPart:
            raise OSError(28, "No space left on device")

        return replace(source, mark="broken", read=read)

    return make
