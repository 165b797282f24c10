"""A result as GeoJSON for QuPath: a square per tile and an outline per region of a codeword.

Coordinates are level-0 pixels as (x, y) with (0, 0) at the top-left corner of the slide's first
pixel, as QuPath has them. Outer rings run along the top to the right, so that their area is
positive, as RFC 7946 asks for; holes run the other way.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_dre_slcl.atomic_file import atomic_writer
from napari_dre_slcl.export.look import CodewordLook
from napari_dre_slcl.export.outlines import Region, regions
from napari_dre_slcl.export.steps import OnStep, no_step
from napari_dre_slcl.export.tile_columns import measurements, refuse_without_tiles
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.tiles.geojson import tile_features

__all__ = ["qupath_features", "write_geojson"]

_CHUNK = 4096
_DIGITS = 6  # of a measurement; float32 has no more
_NAMESPACE = uuid.UUID("4b0f3b0a-6a0f-5d0e-9f43-2f1c5d3a8e11")


def write_geojson(
    result: SlideResult, look: CodewordLook, path: Path, on_step: OnStep = no_step
) -> Path:
    """Write tiles and regions, whole or not at all.

    Parameters
    ----------
    result : SlideResult
        With a tile table.
    look : CodewordLook
        Names and colours of the codewords.
    path : Path
        Target.
    on_step : callable, optional
        Called with (tiles done, tiles in all); may raise to break off.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    ExportError
        If the result has no tiles.
    OSError
        If the file cannot be written.
    """
    refuse_without_tiles(result)
    total, done = len(result.rowcol), 0
    with atomic_writer(path) as stream:
        stream.write(b'{"type":"FeatureCollection","features":[\n')
        separator = b""
        for features in _chunks(result, look):
            on_step(min(done, total), total)
            text = ",\n".join(
                json.dumps(one, separators=(",", ":"), allow_nan=False) for one in features
            )
            stream.write(separator + text.encode())
            separator = b",\n"
            done += len(features)
        stream.write(b"\n]}\n")
    return path


def qupath_features(result: SlideResult, look: CodewordLook) -> Iterator[dict[str, Any]]:
    """Yield the features of `write_geojson`: the tiles first, then the regions."""
    for features in _chunks(result, look):
        yield from features


def _chunks(result: SlideResult, look: CodewordLook) -> Iterator[list[dict[str, Any]]]:
    columns = measurements(result)
    for start in range(0, len(result.rowcol), _CHUNK):
        yield _tiles(result, look, columns, slice(start, start + _CHUNK))
    found: list[dict[str, Any]] = []
    for feature in _regions(result, look, columns):
        found.append(feature)
        if len(found) == _CHUNK:
            yield found
            found = []
    if found:
        yield found


def _tiles(
    result: SlideResult, look: CodewordLook, columns: dict[str, NDArray[Any]], part: slice
) -> list[dict[str, Any]]:
    features = tile_features(result.rowcol[part], result.tile_size_px, "kept")
    values = {name: _rounded(column[part]) for name, column in columns.items()}
    numbers: list[dict[str, float]] = [
        {name: value for name, value in zip(values, row, strict=True) if value is not None}
        for row in zip(*values.values(), strict=True)
    ]
    for feature, own in zip(features, numbers, strict=True):
        feature["properties"]["measurements"] |= own
    if result.n_codewords:
        classes = [_classification(look, number) for number in range(result.n_codewords)]
        for feature, codeword in zip(features, result.codeword[part].tolist(), strict=True):
            feature["properties"]["classification"] = classes[codeword]
    return features


def _regions(
    result: SlideResult, look: CodewordLook, columns: dict[str, NDArray[Any]]
) -> Iterator[dict[str, Any]]:
    """Yield one annotation per region of a codeword, with the means of its tiles."""
    if not result.n_codewords:
        return
    raster = result.raster((result.codeword + 1).astype(np.int32))
    tile_at = result.raster(np.arange(len(result.rowcol)), fill=-1).ravel()
    area_mm2 = None if result.mpp is None else (result.tile_size_px * result.mpp / 1000) ** 2
    for number, region in enumerate(regions(raster)):
        tiles = tile_at[region.cells]
        own: dict[str, float] = {"tiles": len(tiles)}
        if area_mm2 is not None:
            own["area (mm²)"] = round(len(tiles) * area_mm2, _DIGITS)
        for name, column in columns.items():
            (mean,) = _rounded(np.array([np.mean(column[tiles], dtype=np.float64)]))
            if mean is not None:
                own[f"mean {name}"] = mean
        yield _region_feature(result, look, region, number, own)


def _region_feature(
    result: SlideResult, look: CodewordLook, region: Region, number: int, own: dict[str, float]
) -> dict[str, Any]:
    codeword = region.value - 1
    rings = [
        (ring[:, ::-1] * result.tile_size_px).tolist() for ring in (region.outer, *region.holes)
    ]
    return {
        "type": "Feature",
        # The same result gives the same file.
        "id": str(uuid.uuid5(_NAMESPACE, f"{number} {region.value} {rings[0][0]}")),
        "geometry": {"type": "Polygon", "coordinates": rings},
        "properties": {
            "objectType": "annotation",
            "name": look.names[codeword],
            "classification": _classification(look, codeword),
            "isLocked": True,
            "measurements": own,
        },
    }


def _classification(look: CodewordLook, codeword: int) -> dict[str, Any]:
    return {"name": look.names[codeword], "color": list(look.rgb(codeword))}


def _rounded(values: NDArray[Any]) -> list[float | None]:
    """Return numbers with as many digits as they mean; None where there is no number."""
    if values.dtype.kind in "iu":
        whole: list[float | None] = values.tolist()
        return whole
    numbers = np.asarray(values, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = _DIGITS - 1 - np.floor(np.log10(np.abs(numbers)))
    digits = np.clip(np.where(np.isfinite(digits), digits, 0), 0, 20)
    scale = 10.0**digits
    return [
        value if is_number else None
        for value, is_number in zip(
            (np.round(numbers * scale) / scale).tolist(), np.isfinite(numbers).tolist(), strict=True
        )
    ]
