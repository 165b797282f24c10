"""How long a large result takes as GeoJSON for QuPath, beside shapely and json doing the same.

    python benchmarks/export_geojson.py --tiles 100000

A made-up result with evidence of two classes and codewords in patches. The reference makes a
polygon per tile, unites those of each codeword with shapely and writes all of it with one
`json.dump`; both in the same run, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy import ndimage
from shapely.geometry import box, mapping
from shapely.ops import unary_union

from napari_dre_slcl.export.geojson import write_geojson
from napari_dre_slcl.export.look import look_of
from napari_dre_slcl.results import SlideResult

_K = 16
_TILE_PX = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiles", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    result = _made_up(options.tiles)
    with tempfile.TemporaryDirectory() as folder:
        ours = [_timed(_ours, result, Path(folder) / "a.geojson") for _ in range(options.rounds)]
        reference = _timed(_reference, result, Path(folder) / "b.geojson")
        size = (Path(folder) / "a.geojson").stat().st_size / 2**20
    best = min(ours)
    print(
        f"{len(result.rowcol):,} tiles, {size:.0f} MiB: {best:.2f} s (all {options.rounds}: "
        f"{', '.join(f'{one:.2f}' for one in ours)}); shapely and json {reference:.2f} s, "
        f"{reference / best:.1f} times as long"
    )


def _timed(write: object, *arguments: object) -> float:
    start = time.perf_counter()
    write(*arguments)  # type: ignore[operator]
    return time.perf_counter() - start


def _ours(result: SlideResult, path: Path) -> None:
    write_geojson(result, look_of(result), path)


def _reference(result: SlideResult, path: Path) -> None:
    squares = [
        box(x, y, x + _TILE_PX, y + _TILE_PX) for y, x in (result.rowcol * _TILE_PX).tolist()
    ]
    columns = {"attention": result.attention, "distance": result.residual_norm}
    features = [
        {
            "type": "Feature",
            "geometry": mapping(square),
            "properties": {
                "measurements": {name: float(column[tile]) for name, column in columns.items()}
            },
        }
        for tile, square in enumerate(squares)
    ]
    for codeword in range(_K):
        merged = unary_union(
            [squares[tile] for tile in np.flatnonzero(result.codeword == codeword)]
        )
        features.append(
            {"type": "Feature", "geometry": mapping(merged), "properties": {"name": codeword}}
        )
    with path.open("w", encoding="utf-8") as stream:
        json.dump({"type": "FeatureCollection", "features": features}, stream)


def _made_up(n_tiles: int) -> SlideResult:
    side = round(n_tiles**0.5)
    rng = np.random.default_rng(0)
    fields = ndimage.gaussian_filter(rng.normal(size=(_K, side, side)), (0, 3, 3))
    rowcol = np.argwhere(np.ones((side, side), bool))
    return SlideResult(
        slide_id="made up",
        slide_path="",
        slide_shape=(side * _TILE_PX, side * _TILE_PX),
        mpp=0.25,
        mpp_source="user",
        tile_size_px=_TILE_PX,
        grid_shape=(side, side),
        rowcol=rowcol,
        codeword=fields.argmax(0).ravel(),
        attention=rng.random(len(rowcol)).astype(np.float32),
        residual_norm=rng.random(len(rowcol)).astype(np.float32),
        n_codewords=_K,
        codeword_attention=np.zeros(_K, np.float32),
        slide_vector=np.zeros(1, np.float32),
        predictions=(),
        evidence=rng.normal(size=(len(rowcol), 2)).astype(np.float32),
        evidence_of=(("subtype", "LUSC"), ("TP53", "mutated")),
    )


if __name__ == "__main__":
    main()
