"""GeoJSON: valid, and on the same pixels as the tile grid, in QuPath's convention."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import geojson
import numpy as np
import pytest
from shapely.geometry import shape

from napari_dre_slcl.errors import ExportError
from napari_dre_slcl.export.geojson import write_geojson
from napari_dre_slcl.export.look import CodewordLook, look_of
from napari_dre_slcl.layers import codeword_colors
from napari_dre_slcl.results import SlideResult
from napari_dre_slcl.tiles import TileGrid


@pytest.fixture
def features(result: SlideResult, tmp_path: Path) -> list[dict[str, Any]]:
    path = write_geojson(result, look_of(result), tmp_path / "a.geojson")
    read: list[dict[str, Any]] = json.loads(path.read_text())["features"]
    return read


def of_kind(features: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in features if one["properties"]["objectType"] == kind]


def test_file_is_valid_geojson(result: SlideResult, tmp_path: Path) -> None:
    path = write_geojson(result, look_of(result), tmp_path / "a.geojson")
    read = geojson.loads(path.read_text())
    assert isinstance(read, geojson.FeatureCollection)
    assert read.is_valid, read.errors()


def test_tiles_lie_where_the_tile_grid_has_them(
    result: SlideResult, features: list[dict[str, Any]]
) -> None:
    status = np.ones(result.grid_shape, np.uint8)
    status[tuple(result.rowcol.T)] = 0
    grid = TileGrid(256, result.tile_size_px, status, 0.5, 0.5)
    expected = [one["geometry"] for one in grid.to_geojson()["features"]]
    assert [one["geometry"] for one in of_kind(features, "tile")] == expected
    # QuPath: (x, y) with (0, 0) at the top-left corner of the first pixel.
    top, left = grid.yx[0]
    assert expected[0]["coordinates"][0][0] == [left, top]
    assert expected[0]["coordinates"][0][2] == [left + 128, top + 128]


def test_regions_cover_exactly_the_tiles_of_their_codeword(
    result: SlideResult, features: list[dict[str, Any]]
) -> None:
    names = look_of(result).names
    for number, name in enumerate(names):
        regions = [
            one
            for one in of_kind(features, "annotation")
            if one["properties"]["classification"]["name"] == name
        ]
        shapes = [shape(one["geometry"]) for one in regions]
        assert all(one.is_valid for one in shapes)
        n_tiles = (result.codeword == number).sum()
        assert sum(one.area for one in shapes) == n_tiles * 128**2
        told = sum(one["properties"]["measurements"]["tiles"] for one in regions)
        assert told == n_tiles
        area = sum(one["properties"]["measurements"]["area (mm²)"] for one in regions)
        assert area == pytest.approx(n_tiles * 0.064**2, rel=1e-3)


def test_measurements_are_those_of_the_result(
    result: SlideResult, features: list[dict[str, Any]]
) -> None:
    tiles = of_kind(features, "tile")
    own = [one["properties"]["measurements"] for one in tiles]
    assert result.evidence is not None
    told = [one["evidence subtype: LUSC (log-odds)"] for one in own]
    np.testing.assert_allclose(told, result.evidence[:, 0], rtol=1e-5)
    attention = np.array([one["attention (x average)"] for one in own])
    assert attention.mean() == pytest.approx(1, rel=1e-4)


def test_names_and_colours_of_the_window_are_taken(result: SlideResult, tmp_path: Path) -> None:
    look = CodewordLook(("a", "b", "c"), codeword_colors(3)[::-1])
    path = write_geojson(result, look, tmp_path / "a.geojson")
    classes = {
        one["properties"]["classification"]["name"]: one["properties"]["classification"]["color"]
        for one in json.loads(path.read_text())["features"]
    }
    assert classes == {name: list(look.rgb(number)) for number, name in enumerate("abc")}


def test_what_is_no_number_is_left_out(
    make_result: Callable[..., SlideResult], tmp_path: Path
) -> None:
    result = make_result()
    result.residual_norm[0] = np.nan
    path = write_geojson(result, look_of(result), tmp_path / "a.geojson")
    text = path.read_text()
    assert "NaN" not in text
    first = json.loads(text)["features"][0]["properties"]["measurements"]
    assert "distance from codeword" not in first
    assert "attention (x average)" in first


def test_breaking_off_leaves_nothing(result: SlideResult, tmp_path: Path) -> None:
    def stop(done: int, total: int) -> None:
        raise ExportError("stop")

    with pytest.raises(ExportError):
        write_geojson(result, look_of(result), tmp_path / "out" / "a.geojson", stop)
    assert list((tmp_path / "out").iterdir()) == []
