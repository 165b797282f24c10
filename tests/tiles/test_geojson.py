from __future__ import annotations

import json

import numpy as np
import pytest

from napari_dre_slcl.errors import SlideError
from napari_dre_slcl.tiles import TileGrid, save_geojson, tile_slide


@pytest.fixture
def collection(slide):
    return tile_slide(slide).to_geojson()


def test_each_kept_tile_is_a_closed_square_in_level_0_pixels(slide, collection):
    grid = tile_slide(slide)
    assert collection["type"] == "FeatureCollection"
    assert len(collection["features"]) == len(grid)
    for (row, col), feature in zip(grid.rowcol.tolist(), collection["features"], strict=True):
        assert feature["type"] == "Feature"
        assert feature["geometry"]["type"] == "Polygon"
        (ring,) = feature["geometry"]["coordinates"]
        left, top = col * grid.size_px, row * grid.size_px
        right, bottom = left + grid.size_px, top + grid.size_px
        assert ring == [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
        assert all(type(number) is int for point in ring for number in point)


def test_tiles_have_what_qupath_reads(collection):
    properties = collection["features"][2]["properties"]
    assert properties["objectType"] == "tile"
    assert (properties["row"], properties["col"], properties["status"]) == (1, 3, "kept")
    assert properties["measurements"] == {"row": 1, "col": 3}
    assert properties["metadata"] == {"status": "kept"}


def test_file_is_json_and_holds_the_same(collection, tmp_path):
    path = save_geojson(collection, tmp_path / "folder" / "a.geojson")
    assert json.loads(path.read_text(encoding="utf-8")) == collection
    assert [file.name for file in path.parent.iterdir()] == ["a.geojson"]


def test_unwritable_place_is_named(collection, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SlideError, match=r"a\.geojson' cannot be written"):
        save_geojson(collection, tmp_path / "file" / "a.geojson")


def test_grid_without_tiles_is_an_empty_collection():
    grid = TileGrid(256, 256, np.ones((2, 2), np.uint8), 0.5, 0.5)
    assert grid.to_geojson() == {"type": "FeatureCollection", "features": []}
